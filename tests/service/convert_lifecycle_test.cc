#include "service/convert_lifecycle.h"

#include <variant>

#include "base/error.h"
#include "gtest/gtest.h"

namespace mneme::service {
namespace {

std::string FieldOf(const absl::Status& status) {
  return base::DetailOf(status).field;
}

TEST(ConvertLifecycle, EachTargetOfAForgetIsTold) {
  v1::ForgetRequest request;
  EXPECT_EQ(FieldOf(ForgetTargetFromProto(request).status()), "target");
  request.set_entry(7);
  EXPECT_EQ(
      std::get<memory::EntryNumber>(*ForgetTargetFromProto(request)).number,
      7u);
  request.set_source("");
  EXPECT_EQ(FieldOf(ForgetTargetFromProto(request).status()), "source");
  request.set_source("a.txt");
  EXPECT_EQ(
      std::get<memory::RecallFilter>(*ForgetTargetFromProto(request)).source,
      "a.txt");
  request.mutable_seq_range()->set_begin(3);
  EXPECT_EQ(std::get<memory::SeqRange>(*ForgetTargetFromProto(request)),
            (memory::SeqRange{3, ~uint64_t{0}}));
  request.mutable_time_range();
  EXPECT_EQ(FieldOf(ForgetTargetFromProto(request).status()), "time_range");
  request.mutable_time_range()->mutable_end()->set_seconds(2);
  EXPECT_EQ(std::get<memory::TimeRange>(*ForgetTargetFromProto(request)).end_us,
            2'000'000);
  request.mutable_time_range()->mutable_end()->set_nanos(-1);
  EXPECT_EQ(FieldOf(ForgetTargetFromProto(request).status()), "time_range.end");
  request.mutable_filter()->set_role("user");
  EXPECT_EQ(
      std::get<memory::RecallFilter>(*ForgetTargetFromProto(request)).role,
      "user");
}

TEST(ConvertLifecycle, ATtlIsASecondToACentury) {
  google::protobuf::Duration ttl;
  EXPECT_EQ(FieldOf(TtlFromProto(ttl).status()), "ttl");
  ttl.set_seconds(1);
  EXPECT_EQ(TtlFromProto(ttl).value(), 1'000'000);
  ttl.set_nanos(2'000);
  google::protobuf::Duration back;
  SetTtl(TtlFromProto(ttl).value(), &back);
  EXPECT_EQ(back.seconds(), 1);
  EXPECT_EQ(back.nanos(), 2'000);
  ttl.set_nanos(-1);
  EXPECT_FALSE(TtlFromProto(ttl).ok());
  ttl.set_nanos(0);
  ttl.set_seconds(int64_t{1} << 60);
  EXPECT_FALSE(TtlFromProto(ttl).ok());
}

TEST(ConvertLifecycle, AnOperationSaysWhatItFollowsAndWhetherItIsDone) {
  memory::Operation operation{.space = "a",
                              .id = "00ff",
                              .kind = memory::Operation::Kind::kDeleteSession,
                              .create_time_us = 5'000'000};
  v1::Operation proto;
  SetOperation(operation, &proto);
  EXPECT_EQ(proto.name(), "namespaces/a/operations/00ff");
  EXPECT_EQ(proto.kind(), "delete_session");
  EXPECT_FALSE(proto.done());
  EXPECT_FALSE(proto.has_done_time());
  operation.done_time_us = 6'000'000;
  SetOperation(operation, &proto);
  EXPECT_TRUE(proto.done());
  EXPECT_EQ(proto.done_time().seconds(), 6);
}

}  // namespace
}  // namespace mneme::service
