#include "client/render_profile.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/utf8.h"
#include "client/profile_setting.h"
#include "client/render.h"

namespace mneme::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr int kListMax = 16;
constexpr size_t kLineWidth = 79;

// What absence means, where it is not just "none".
constexpr std::pair<std::string_view, std::string_view> kAbsent[] = {
    {"mneme.v1.Profile.head_scales", "1"},
    {"mneme.v1.KnnTier.top_k", "all"},
    {"mneme.v1.KnnTier.data_type", "as the profile's"},
    {"mneme.v1.KnnTier.max_tokens", "no limit"},
    {"mneme.v1.CompressiveTier.performer", "none: elu + 1"},
    {"mneme.v1.Alibi.clip_distance", "no limit"},
};

using Rows = std::vector<std::pair<std::string, std::string>>;

// The shortest digits that read back as the same number.
template <typename Number>
std::string Digits(Number number) {
  const double size = std::abs(static_cast<double>(number));
  const bool plain = size == 0 || (size >= 1e-5 && size < 1e15);
  std::array<char, 64> digits;
  const auto end = std::to_chars(
      digits.data(), digits.data() + digits.size(), number,
      plain ? std::chars_format::fixed : std::chars_format::scientific);
  return {digits.data(), end.ptr};
}

std::string ListOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  const int shown = std::min(size, kListMax);
  std::vector<std::string> numbers;
  numbers.reserve(shown);
  for (int i = 0; i < shown; ++i) {
    numbers.push_back(
        field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT
            ? Digits(reflection.GetRepeatedFloat(message, &field, i))
            : Digits(reflection.GetRepeatedDouble(message, &field, i)));
  }
  std::string list = absl::StrJoin(numbers, ",");
  if (size > kListMax) {
    absl::StrAppend(&list, ",... (", size, " numbers; -o json has all)");
  }
  return list;
}

std::string ScalarOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection.GetUInt32(message, &field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetUInt64(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Digits(reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, &field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return WordOf(*reflection.GetEnum(message, &field));
    default:
      CHECK(field.cpp_type() == FieldDescriptor::CPPTYPE_STRING);
      return Printable(reflection.GetString(message, &field));
  }
}

std::string WordsForAbsent(const Message& message,
                           const FieldDescriptor& field) {
  for (const auto& [name, words] : kAbsent) {
    if (field.full_name() == name) return std::string(words);
  }
  const bool is_number = !field.is_repeated() && !field.has_presence() &&
                         field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM &&
                         field.cpp_type() != FieldDescriptor::CPPTYPE_STRING;
  return is_number ? ScalarOf(message, field) : "none";
}

void AddRows(const Message& message, const std::string& prefix, Rows& rows) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string path = prefix + field.name();
    if (IsAbsent(message, field)) {
      if (!HasMeaning(message, field)) continue;
      rows.emplace_back(path, WordsForAbsent(message, field));
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      AddRows(message.GetReflection()->GetMessage(message, &field), path + ".",
              rows);
    } else {
      rows.emplace_back(path, field.is_repeated() ? ListOf(message, field)
                                                  : ScalarOf(message, field));
    }
  }
}

// `text` in lines of at most kLineWidth where words allow it, the first behind
// `head`, the others as far to the right.
void Wrapped(const std::string& head, const std::string& text,
             std::ostream& out) {
  const std::string margin(head.size(), ' ');
  std::string line = head;
  size_t width = head.size();
  bool is_first = true;
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(
           Printable(text), absl::ByAnyChar(" \n\t"), absl::SkipEmpty()))) {
    const size_t word_width = base::CodePointCount(word);
    if (!is_first && width + 1 + word_width > kLineWidth) {
      out << line << "\n";
      line = margin;
      width = margin.size();
      is_first = true;
    }
    line += (is_first ? "" : " ") + word;
    width += word_width + (is_first ? 0 : 1);
    is_first = false;
  }
  out << line << "\n";
}

}  // namespace

void RenderProfile(const v1::Profile& profile, const std::string& indent,
                   std::ostream& out) {
  Rows rows;
  AddRows(profile, "", rows);
  size_t width = 0;
  for (const auto& [path, value] : rows) width = std::max(width, path.size());
  for (const auto& [path, value] : rows) {
    if (path == "name" || path == "preset") continue;
    out << indent
        << absl::StrFormat("%-*s  %s\n", static_cast<int>(width), path, value);
  }
}

void RenderPresets(const v1::ListProfilesResponse& response,
                   std::ostream& out) {
  size_t width = 7;
  for (const v1::ProfilePreset& preset : response.presets()) {
    width = std::max(width, preset.profile().name().size());
  }
  const auto row = [&](const std::string& name, const std::string& summary) {
    out << absl::StrFormat("%-*s  %s\n", static_cast<int>(width), name,
                           summary);
  };
  row("PROFILE", "WHAT IT DOES");
  for (const v1::ProfilePreset& preset : response.presets()) {
    row(Printable(preset.profile().name()), Printable(preset.summary()));
  }
}

void RenderPreset(const v1::ProfilePreset& preset, std::ostream& out) {
  Wrapped("name         ", preset.profile().name(), out);
  Wrapped("summary      ", preset.summary(), out);
  Wrapped("source       ", preset.source(), out);
  Wrapped("differences  ",
          preset.differences().empty() ? "none" : preset.differences(), out);
  out << "\n";
  RenderProfile(preset.profile(), "", out);
}

}  // namespace mneme::client
