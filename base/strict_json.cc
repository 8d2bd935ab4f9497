#include "base/strict_json.h"

#include <nlohmann/json.hpp>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"

namespace mneme::base {
namespace {

using Json = nlohmann::json;

absl::Status BadJson(std::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, message,
               {.reason = "BAD_JSON"});
}

// Looks at the text before anything is kept of it.
class Watch final : public nlohmann::json_sax<Json> {
 public:
  explicit Watch(int depth_max) : depth_max_(depth_max) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override {
    keys_.emplace_back();
    return Down();
  }
  bool end_object() override {
    keys_.pop_back();
    return Up();
  }
  bool start_array(size_t) override { return Down(); }
  bool end_array() override { return Up(); }
  bool key(string_t& key) override {
    if (keys_.back().insert(key).second) return true;
    found_ = BadJson(absl::StrCat(Quoted(key), " stands in it twice"));
    return false;
  }
  bool parse_error(size_t, const std::string&,
                   const nlohmann::detail::exception&) override {
    found_ = BadJson("it is not a JSON object");
    return false;
  }

  const absl::Status& found() const { return found_; }

 private:
  bool Down() {
    if (++depth_ <= depth_max_) return true;
    found_ = BadJson("it is nested too deeply");
    return false;
  }
  bool Up() {
    --depth_;
    return true;
  }

  const int depth_max_;
  int depth_ = 0;
  std::vector<std::unordered_set<std::string>> keys_;  // Of open objects.
  absl::Status found_;
};

}  // namespace

absl::StatusOr<Json> ParseStrictJson(std::string_view bytes, int depth_max) {
  Watch watch(depth_max);
  Json::sax_parse(bytes.begin(), bytes.end(), &watch);
  if (!watch.found().ok()) return watch.found();
  Json json = Json::parse(bytes.begin(), bytes.end(), nullptr,
                          /*allow_exceptions=*/false);
  if (!json.is_object()) return BadJson("it is not a JSON object");
  return json;
}

}  // namespace mneme::base
