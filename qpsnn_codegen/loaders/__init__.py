"""Loaders: each turns one kind of file into a :class:`qpsnn_codegen.network.Network`. Only they and ``nn`` import
torch.
"""
