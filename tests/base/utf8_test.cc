#include "base/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace mneme::base {
namespace {

TEST(FirstInvalidUtf8, IsNoneInValidText) {
  for (const std::string text :
       {"", "plain", "é", "日本", "\U0010FFFF", "\uD7FF", "\uE000"}) {
    EXPECT_FALSE(FirstInvalidUtf8(text)) << text;
  }
}

TEST(FirstInvalidUtf8, IsTheOffsetOfTheFirstBadByte) {
  const std::string bad[] = {
      "\x80",              // Continuation alone.
      "\xC3",              // Cut off.
      "\xC0\x80",          // Overlong NUL.
      "\xC1\xBF",          // Overlong.
      "\xE0\x9F\xBF",      // Overlong.
      "\xF0\x8F\xBF\xBF",  // Overlong.
      "\xED\xA0\x80",      // Surrogate.
      "\xF4\x90\x80\x80",  // Above U+10FFFF.
      "\xF5\x80\x80\x80",  // No such first byte.
      "\xE2\x82",          // Cut off.
      "\xE2x\x82",         // Interrupted.
      "\xFF",
  };
  for (const std::string& bytes : bad) {
    EXPECT_EQ(FirstInvalidUtf8("né" + bytes + "x"), 3) << bytes;
    EXPECT_EQ(FirstInvalidUtf8(bytes), 0) << bytes;
  }
}

TEST(FirstInvalidUtf8, IsFoundBehindLongAscii) {
  for (size_t size = 0; size < 40; ++size) {
    EXPECT_EQ(FirstInvalidUtf8(std::string(size, 'a') + "\xFFz"), size);
    EXPECT_FALSE(FirstInvalidUtf8(std::string(size, 'a') + "é"));
  }
}

TEST(CodePointCount, CountsCharactersNotBytes) {
  EXPECT_EQ(CodePointCount(""), 0);
  EXPECT_EQ(CodePointCount("0123456789"), 10);
  EXPECT_EQ(CodePointCount("naïve"), 5);
  EXPECT_EQ(CodePointCount("東京 and 😀"), 8);
  EXPECT_EQ(CodePointCount("a\xff\xfe"), 3);
}

TEST(IsBlank, IsTrueForWhiteSpaceOfAnyKindAlone) {
  EXPECT_TRUE(IsBlank(""));
  EXPECT_TRUE(IsBlank(" \t\r\n\v\f\u0085\u00A0\u2003\u2028\u3000"));
  EXPECT_FALSE(IsBlank(" x "));
  EXPECT_FALSE(IsBlank("\u200B"));  // Zero width space is no white space.
  EXPECT_FALSE(IsBlank("\xFF"));
}

}  // namespace
}  // namespace mneme::base
