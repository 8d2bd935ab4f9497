#include "memory/text/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace mneme::memory {
namespace {

TEST(Utf8, WellFormedTextHasNoInvalidByte) {
  EXPECT_EQ(FirstInvalidUtf8(""), std::nullopt);
  EXPECT_EQ(FirstInvalidUtf8("plain ASCII, longer than a machine word"),
            std::nullopt);
  EXPECT_EQ(FirstInvalidUtf8("naïve 東京 👩‍👩‍👧 \U0010FFFF"),
            std::nullopt);
  EXPECT_EQ(FirstInvalidUtf8(std::string("nul\0nul", 7)), std::nullopt);
}

TEST(Utf8, TheFirstInvalidByteIsNamed) {
  EXPECT_EQ(FirstInvalidUtf8("\xff"), 0u);
  EXPECT_EQ(FirstInvalidUtf8("twelve bytes\x80"), 12u);
  EXPECT_EQ(FirstInvalidUtf8("é\xc3"), 2u);               // Cut short.
  EXPECT_EQ(FirstInvalidUtf8("ab\xc0\x80"), 2u);          // Overlong.
  EXPECT_EQ(FirstInvalidUtf8("ab\xed\xa0\x80"), 2u);      // A surrogate.
  EXPECT_EQ(FirstInvalidUtf8("ab\xf4\x90\x80\x80"), 2u);  // Above U+10FFFF.
}

TEST(Utf8, CodePointsAreCountedNotBytes) {
  EXPECT_EQ(CodePointCount(""), 0u);
  EXPECT_EQ(CodePointCount("0123456789"), 10u);
  EXPECT_EQ(CodePointCount("naïve"), 5u);
  EXPECT_EQ(CodePointCount("東京 and 😀"), 8u);
  EXPECT_GE(CodePointCount("a\xff\xfe"), 2u);
}

}  // namespace
}  // namespace mneme::memory
