// client/units.h: sizes and durations as people read them.

#ifndef MNEME_CLIENT_UNITS_H_
#define MNEME_CLIENT_UNITS_H_

#include <string>

namespace mneme::client {

// "812 B", "2.6 MB": powers of 1000, as file managers and disks count.
std::string HumanBytes(double bytes);

// "0.4 s", "12 s", "3:07", "1:02:03".
std::string HumanSeconds(double seconds);

}  // namespace mneme::client

#endif  // MNEME_CLIENT_UNITS_H_
