#include "service/convert_time.h"

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

TEST(ConvertTime, GoesBothWays) {
  for (const int64_t micros :
       {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{1'700'000'000'123'456},
        int64_t{-62'135'596'800'000'000}, int64_t{253'402'300'799'999'999}}) {
    google::protobuf::Timestamp time;
    SetTime(micros, &time);
    EXPECT_GE(time.nanos(), 0);
    EXPECT_EQ(MicrosFromProto(time, "time").value(), micros);
  }
}

TEST(ConvertTime, WhatIsNoTimeIsRefused) {
  google::protobuf::Timestamp time;
  time.set_nanos(-1);
  EXPECT_EQ(base::DetailOf(MicrosFromProto(time, "a.b").status()).field, "a.b");
  time.set_nanos(1'000'000'000);
  EXPECT_FALSE(MicrosFromProto(time, "a.b").ok());
  time.set_nanos(0);
  time.set_seconds(253'402'300'800);
  EXPECT_FALSE(MicrosFromProto(time, "a.b").ok());
}

}  // namespace
}  // namespace mneme::service
