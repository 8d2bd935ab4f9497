#include "client/profile_setting.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/error.h"
#include "base/status_macros.h"
#include "base/suggest.h"

namespace mneme::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// One setting, whose path leads somewhere.
struct Setting {
  std::string path;
  std::string value;
  // From a field of v1::Profile inwards.
  std::vector<const FieldDescriptor*> fields;
};

bool IsMessage(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
}

// Named by --profile, not set: it decides what the settings are set on.
bool IsPreset(const FieldDescriptor& field) {
  return field.number() == v1::Profile::kPresetFieldNumber &&
         field.containing_type() == v1::Profile::descriptor();
}

std::vector<std::string> NamesIn(const Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) {
    if (!IsPreset(*type.field(i))) names.push_back(type.field(i)->name());
  }
  return names;
}

// The path of the first setting anywhere below `type` with this name of its
// own; empty when there is none.
std::string PathTo(const std::string& name, const Descriptor& type,
                   const std::string& prefix) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.name() == name && !IsPreset(field)) return prefix + name;
    if (!IsMessage(field)) continue;
    std::string path =
        PathTo(name, *field.message_type(), prefix + field.name() + ".");
    if (!path.empty()) return path;
  }
  return "";
}

// `prefix` is the path up to the name that `type` does not have; `flag` was
// given it.
absl::Status Unknown(const std::string& flag, const std::string& path,
                     const std::string& prefix, const std::string& name,
                     const Descriptor& type) {
  const std::vector<std::string> names = NamesIn(type);
  const std::string closest = base::Closest(name, names);
  const std::string meant = closest.empty()
                                ? PathTo(name, *v1::Profile::descriptor(), "")
                                : prefix + closest;
  return base::InvalidField(
      flag, base::Quoted(path),
      absl::StrCat("one of ", prefix, absl::StrJoin(names, ", " + prefix),
                   meant.empty() ? "" : " (did you mean \"" + meant + "\"?)"));
}

absl::Status Wrong(const Setting& setting, const std::string& word,
                   const std::string& expected) {
  return base::InvalidField("--set " + setting.path, base::Quoted(word),
                            expected);
}

template <typename Number>
absl::StatusOr<Number> WholeNumber(const Setting& setting) {
  Number number = 0;
  if (absl::SimpleAtoi(setting.value, &number)) return number;
  using Limits = std::numeric_limits<Number>;
  return Wrong(
      setting, setting.value,
      absl::StrCat("a whole number, ", Limits::min(), " to ", Limits::max()));
}

bool Parse(const std::string& word, float* number) {
  return absl::SimpleAtof(word, number);
}
bool Parse(const std::string& word, double* number) {
  return absl::SimpleAtod(word, number);
}

template <typename Number>
absl::StatusOr<Number> RealNumber(const Setting& setting,
                                  const std::string& word) {
  Number number = 0;
  if (Parse(word, &number) && std::isfinite(number)) return number;
  return Wrong(setting, word, "a finite number");
}

absl::StatusOr<const EnumValueDescriptor*> ValueNamed(
    const Setting& setting, const EnumDescriptor& type) {
  std::vector<std::string> words;
  for (int i = 0; i < type.value_count(); ++i) {
    const EnumValueDescriptor& value = *type.value(i);
    if (value.number() == 0) continue;  // UNSPECIFIED: absent.
    words.push_back(WordOf(value));
    if (absl::EqualsIgnoreCase(setting.value, words.back()) ||
        absl::EqualsIgnoreCase(setting.value, value.name())) {
      return &value;
    }
  }
  return Wrong(setting, setting.value,
               absl::StrCat("one of ", absl::StrJoin(words, ", "),
                            base::DidYouMean(
                                absl::AsciiStrToLower(setting.value), words)));
}

// Lists of a profile hold numbers.
absl::Status SetList(const Setting& setting, const FieldDescriptor& field,
                     Message& message) {
  const Reflection& reflection = *message.GetReflection();
  reflection.ClearField(&message, &field);
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(setting.value, ','))) {
    const std::string word(absl::StripAsciiWhitespace(part));
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT) {
      ASSIGN_OR_RETURN(const float number, RealNumber<float>(setting, word));
      reflection.AddFloat(&message, &field, number);
    } else {
      CHECK(field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE);
      ASSIGN_OR_RETURN(const double number, RealNumber<double>(setting, word));
      reflection.AddDouble(&message, &field, number);
    }
  }
  return absl::OkStatus();
}

absl::Status SetScalar(const Setting& setting, const FieldDescriptor& field,
                       Message& message) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT32: {
      ASSIGN_OR_RETURN(const auto number, WholeNumber<uint32_t>(setting));
      reflection.SetUInt32(&message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      ASSIGN_OR_RETURN(const auto number, WholeNumber<uint64_t>(setting));
      reflection.SetUInt64(&message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      ASSIGN_OR_RETURN(const auto number, WholeNumber<int64_t>(setting));
      reflection.SetInt64(&message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      ASSIGN_OR_RETURN(const double number,
                       RealNumber<double>(setting, setting.value));
      reflection.SetDouble(&message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool truth = false;
      if (!absl::SimpleAtob(setting.value, &truth)) {
        return Wrong(setting, setting.value, "true or false");
      }
      reflection.SetBool(&message, &field, truth);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_ENUM: {
      ASSIGN_OR_RETURN(const EnumValueDescriptor* value,
                       ValueNamed(setting, *field.enum_type()));
      reflection.SetEnum(&message, &field, value);
      return absl::OkStatus();
    }
    default:
      CHECK(field.cpp_type() == FieldDescriptor::CPPTYPE_STRING);
      reflection.SetString(&message, &field, setting.value);
      return absl::OkStatus();
  }
}

absl::StatusOr<Setting> Resolve(const std::string& written) {
  const size_t equals = written.find('=');
  if (equals == std::string::npos || equals == 0) {
    return base::InvalidField("--set", base::Quoted(written), "PATH=VALUE");
  }
  Setting setting{.path = written.substr(0, equals),
                  .value = std::string(
                      absl::StripAsciiWhitespace(written.substr(equals + 1))),
                  .fields = {}};
  const Descriptor* type = v1::Profile::descriptor();
  std::string prefix;
  for (const std::string& name :
       std::vector<std::string>(absl::StrSplit(setting.path, '.'))) {
    if (type == nullptr) {
      return base::InvalidField(
          "--set", base::Quoted(setting.path),
          absl::StrCat(absl::StripSuffix(prefix, "."),
                       ", which has no settings of its own"));
    }
    const FieldDescriptor* field = type->FindFieldByName(name);
    if (field == nullptr || IsPreset(*field)) {
      return Unknown("--set", setting.path, prefix, name, *type);
    }
    setting.fields.push_back(field);
    type = field->message_type();  // Null for what is none.
    prefix += name + ".";
  }
  return setting;
}

absl::Status Apply(const Setting& setting, Message& profile) {
  Message* message = &profile;
  const FieldDescriptor& field = *setting.fields.back();
  for (const FieldDescriptor* outer : setting.fields) {
    if (outer == &field) break;
    const Reflection& reflection = *message->GetReflection();
    // What is to be absent needs nothing around it.
    if (setting.value.empty() && !reflection.HasField(*message, outer)) {
      return absl::OkStatus();
    }
    message = reflection.MutableMessage(message, outer);
  }
  if (setting.value.empty()) {
    message->GetReflection()->ClearField(message, &field);
    return absl::OkStatus();
  }
  if (IsMessage(field)) {
    const std::string inside = setting.path + ".";
    return Wrong(setting, setting.value,
                 absl::StrCat("nothing, or one of ", inside,
                              absl::StrJoin(NamesIn(*field.message_type()),
                                            ", " + inside)));
  }
  return field.is_repeated() ? SetList(setting, field, *message)
                             : SetScalar(setting, field, *message);
}

// Whether one of `settings` is the field at `path`, or inside it.
bool IsNamed(const std::string& path, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    if (setting.path == path || absl::StartsWith(setting.path, path + ".")) {
      return true;
    }
  }
  return false;
}

// What the server filled in, and will fill in otherwise once `settings` are
// there.
void ClearDerived(const std::vector<Setting>& settings, v1::Profile& preset) {
  if (!preset.has_position()) return;
  v1::PositionEncoding& position = *preset.mutable_position();
  if (position.rotary_dim() == preset.key_dim()) position.clear_rotary_dim();
  if (position.has_yarn() && IsNamed("position.yarn", settings)) {
    position.mutable_yarn()->clear_attention_factor();
  }
  if (position.has_long_rope() && IsNamed("position.long_rope", settings)) {
    position.mutable_long_rope()->clear_attention_factor();
  }
}

// Takes from `message`, which stands at `path`, what `settings` do not name and
// robbed of its meaning.
void ClearMeaningless(const std::string& path,
                      const std::vector<Setting>& settings, Message& message) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> present;
  reflection.ListFields(message, &present);
  for (const FieldDescriptor* field : present) {
    const std::string inner = path + "." + field->name();
    if (!HasMeaning(message, *field) && !IsNamed(inner, settings)) {
      reflection.ClearField(&message, field);
    } else if (IsMessage(*field)) {
      ClearMeaningless(inner, settings,
                       *reflection.MutableMessage(&message, field));
    }
  }
}

bool Rotates(v1::PositionFamily family) {
  switch (family) {
    case v1::POSITION_FAMILY_UNSPECIFIED:
    case v1::POSITION_FAMILY_NONE:
    case v1::POSITION_FAMILY_ALIBI:
    case v1::POSITION_FAMILY_RELATIVE_BIAS:
    case v1::POSITION_FAMILY_LEARNED:
      return false;
    default:
      return true;
  }
}

bool HasMeaningIn(const v1::PositionEncoding& position,
                  const FieldDescriptor& field) {
  if (field.number() == v1::PositionEncoding::kFamilyFieldNumber) return true;
  if (field.real_containing_oneof() == nullptr) {
    return Rotates(position.family());
  }
  // Parameters are called as their family.
  const auto* family =
      v1::PositionFamily_descriptor()->FindValueByNumber(position.family());
  return family != nullptr && WordOf(*family) == field.name();
}

using Json = nlohmann::json;

absl::Status CheckKeysIn(const Json& json, const Descriptor& type,
                         const std::string& prefix) {
  for (const auto& [key, value] : json.items()) {
    const FieldDescriptor* field = type.FindFieldByName(key);
    if (field == nullptr) field = type.FindFieldByCamelcaseName(key);
    if (field == nullptr) {
      return Unknown("--profile-file", prefix + key, prefix, key, type);
    }
    if (!IsMessage(*field) || !value.is_object()) continue;
    RETURN_IF_ERROR(CheckKeysIn(value, *field->message_type(),
                                prefix + field->name() + "."));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsAbsent(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  return field.is_repeated() ? reflection.FieldSize(message, &field) == 0
                             : !reflection.HasField(message, &field);
}

bool HasMeaning(const Message& message, const FieldDescriptor& field) {
  const std::string& name = field.name();
  if (const auto* position =
          dynamic_cast<const v1::PositionEncoding*>(&message)) {
    return HasMeaningIn(*position, field);
  }
  if (const auto* rule = dynamic_cast<const v1::PositionRule*>(&message)) {
    return name != "distance" || rule->policy() == v1::POSITION_POLICY_CONST ||
           rule->policy() == v1::POSITION_POLICY_CLAMP;
  }
  if (const auto* window = dynamic_cast<const v1::WindowTier*>(&message)) {
    if (name == "tokens") return window->commit() != v1::COMMIT_POLICY_SEGMENT;
    return name != "block_tokens" ||
           window->commit() == v1::COMMIT_POLICY_BLOCK;
  }
  if (const auto* knn = dynamic_cast<const v1::KnnTier*>(&message)) {
    if (name == "chunk_score") return knn->chunk_tokens() > 1;
    return name != "empty_memory" || knn->gate_logits_size() > 0;
  }
  return true;
}

std::string WordOf(const EnumValueDescriptor& value) {
  constexpr char kZero[] = "UNSPECIFIED";
  // The zero value is the type's name and UNSPECIFIED.
  const std::string prefix(
      absl::StripSuffix(value.type()->value(0)->name(), kZero));
  return absl::AsciiStrToLower(absl::StripPrefix(value.name(), prefix));
}

absl::Status CheckKeys(const std::string& json) {
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return absl::OkStatus();
  return CheckKeysIn(parsed, *v1::Profile::descriptor(), "");
}

absl::StatusOr<v1::Profile> WithSettings(
    v1::Profile profile, const std::vector<std::string>& settings,
    const std::function<
        absl::StatusOr<v1::ProfilePreset>(const std::string& name)>& find) {
  std::vector<Setting> resolved;
  std::set<const FieldDescriptor*> inherited;
  v1::Profile scratch;  // Whatever the profile is, values are right or wrong.
  for (const std::string& written : settings) {
    ASSIGN_OR_RETURN(const Setting setting, Resolve(written));
    RETURN_IF_ERROR(Apply(setting, scratch));
    const FieldDescriptor* outer = setting.fields.front();
    if (IsMessage(*outer) && IsAbsent(profile, *outer)) inherited.insert(outer);
    resolved.push_back(setting);
  }
  const bool has_preset = !profile.preset().empty();
  if (!has_preset) inherited.clear();
  const Reflection& reflection = *profile.GetReflection();
  if (!inherited.empty()) {
    ASSIGN_OR_RETURN(v1::ProfilePreset preset, find(profile.preset()));
    v1::Profile& source = *preset.mutable_profile();
    ClearDerived(resolved, source);
    for (const FieldDescriptor* field : inherited) {
      if (IsAbsent(source, *field)) continue;
      reflection.MutableMessage(&profile, field)
          ->CopyFrom(reflection.GetMessage(source, field));
    }
  }
  for (const Setting& setting : resolved) {
    RETURN_IF_ERROR(Apply(setting, profile));
  }
  for (const FieldDescriptor* field : inherited) {
    if (IsAbsent(profile, *field)) continue;
    ClearMeaningless(field->name(), resolved,
                     *reflection.MutableMessage(&profile, field));
  }
  for (const Setting& setting : resolved) {
    if (!has_preset || !IsAbsent(profile, *setting.fields.front())) continue;
    return Wrong(setting, setting.value,
                 absl::StrCat("a value: what is 0 or empty is absent, and "
                              "filled in by the preset ",
                              base::Quoted(profile.preset())));
  }
  return profile;
}

}  // namespace mneme::client
