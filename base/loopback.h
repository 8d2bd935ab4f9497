// base/loopback.h: whether a host is this machine.

#ifndef MNEME_BASE_LOOPBACK_H_
#define MNEME_BASE_LOOPBACK_H_

#include <string>

namespace mneme::base {

// True for "localhost", 127.0.0.0/8 and ::1 (without brackets). A name that
// resolves to one of them is not looked up, and is none.
bool IsLoopback(const std::string& host);

}  // namespace mneme::base

#endif  // MNEME_BASE_LOOPBACK_H_
