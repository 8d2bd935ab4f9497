// base/bytes.h: little-endian records, written and read back with bounds.

#ifndef MNEME_BASE_BYTES_H_
#define MNEME_BASE_BYTES_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace mneme::base {

static_assert(std::endian::native == std::endian::little,
              "records are copied as they lie in memory");

// Appends fields to a string.
class ByteWriter {
 public:
  template <typename T>
  void Number(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  // Length (32 bits), then the bytes.
  void Text(std::string_view text) {
    Number(static_cast<uint32_t>(text.size()));
    bytes_.append(text);
  }
  // The bytes alone; the reader must know how many.
  void Raw(std::string_view raw) { bytes_.append(raw); }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads them back. The first read past the end makes ok() false for good and
// every later read returns zero or nothing.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  T Number() {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    T value{};
    const std::string_view raw = Raw(sizeof(T));
    if (ok_) std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  std::string_view Text() { return Raw(Number<uint32_t>()); }
  std::string_view Raw(uint64_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view raw = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return raw;
  }

  bool ok() const { return ok_; }
  // True when everything was read and nothing is left.
  bool done() const { return ok_ && rest_.empty(); }
  size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace mneme::base

#endif  // MNEME_BASE_BYTES_H_
