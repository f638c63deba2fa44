#include "qps_types.h"

const char *qps_status_string(qps_status_t status)
{
#define QPS_STATUS_TEXT(code, text) text,
    static const char *const texts[] = {QPS_STATUS_LIST(QPS_STATUS_TEXT)};
#undef QPS_STATUS_TEXT
    const size_t index = (size_t)status;
    return index < (size_t)QPS_STATUS_COUNT ? texts[index] : "unknown status";
}
