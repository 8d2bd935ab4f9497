// service/enum_table.h: an enum of the wire beside ours.

#ifndef MNEME_SERVICE_ENUM_TABLE_H_
#define MNEME_SERVICE_ENUM_TABLE_H_

#include <google/protobuf/generated_enum_reflection.h>

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::service {

// The first entry is what UNSPECIFIED stands for.
template <typename Proto, typename Ours, size_t kSize>
struct EnumTable {
  std::pair<Proto, Ours> entries[kSize];

  // Errors: INVALID_ARGUMENT on `field` that lists the names.
  absl::StatusOr<Ours> FromProto(Proto proto, std::string_view field) const {
    if (static_cast<int>(proto) == 0) return entries[0].second;
    for (const auto& [theirs, ours] : entries) {
      if (theirs == proto) return ours;
    }
    std::string names;
    for (const auto& [theirs, ours] : entries) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", NameOf(theirs));
    }
    return base::InvalidField(field,
                              absl::StrCat("value ", static_cast<int>(proto)),
                              absl::StrCat("one of ", names));
  }

  // REQUIRES: `ours` is in the table.
  Proto ToProto(Ours ours) const {
    for (const auto& [theirs, known] : entries) {
      if (known == ours) return theirs;
    }
    return Proto();
  }

  static std::string NameOf(Proto proto) {
    const auto* type = google::protobuf::GetEnumDescriptor<Proto>();
    const std::string name = type->FindValueByNumber(proto)->name();
    // Values repeat the name of their type, which ends where UNSPECIFIED
    // begins.
    const std::string first = type->FindValueByNumber(0)->name();
    return name.substr(first.size() - std::string("UNSPECIFIED").size());
  }
};

}  // namespace mneme::service

#endif  // MNEME_SERVICE_ENUM_TABLE_H_
