#include "base/bytes.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace mneme::base {
namespace {

std::string Sample() {
  ByteWriter out;
  out.Number(uint8_t{7});
  out.Number(int64_t{-1} << 40);
  out.Number(2.5F);
  out.Text(std::string("a\0b", 3));
  out.Raw("xyz");
  return out.Take();
}

TEST(Bytes, WhatIsWrittenIsReadBack) {
  const std::string bytes = Sample();
  ByteReader in(bytes);
  EXPECT_EQ(in.Number<uint8_t>(), 7);
  EXPECT_EQ(in.Number<int64_t>(), int64_t{-1} << 40);
  EXPECT_EQ(in.Number<float>(), 2.5F);
  EXPECT_EQ(in.Text(), std::string_view("a\0b", 3));
  EXPECT_EQ(in.Raw(3), "xyz");
  EXPECT_TRUE(in.done());
}

TEST(Bytes, NumbersAreLittleEndian) {
  ByteWriter out;
  out.Number(uint32_t{0x01020304});
  EXPECT_EQ(out.Take(), "\x04\x03\x02\x01");
}

TEST(Bytes, EveryCutIsNoticedAndReadsNothing) {
  const std::string whole = Sample();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    ByteReader in(cut);
    in.Number<uint8_t>();
    in.Number<int64_t>();
    in.Number<float>();
    in.Text();
    EXPECT_EQ(in.Raw(3), "") << "cut at " << size;
    EXPECT_FALSE(in.ok()) << "cut at " << size;
    EXPECT_FALSE(in.done());
    EXPECT_EQ(in.Number<uint64_t>(), 0u) << "a failed reader stays failed";
  }
}

TEST(Bytes, ALengthBeyondTheEndIsNotFollowed) {
  ByteWriter out;
  out.Number(uint32_t{0xFFFFFFFF});
  const std::string bytes = out.Take();
  ByteReader in(bytes);
  EXPECT_EQ(in.Text(), "");
  EXPECT_FALSE(in.ok());
}

TEST(Bytes, WhatIsLeftIsNotDone) {
  const std::string bytes = "ab";
  ByteReader in(bytes);
  in.Number<uint8_t>();
  EXPECT_TRUE(in.ok());
  EXPECT_FALSE(in.done());
  EXPECT_EQ(in.left(), 1u);
}

}  // namespace
}  // namespace mneme::base
