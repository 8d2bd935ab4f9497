#include "client/attend_command.h"

#include "client/safetensors.h"
#include "gmock/gmock.h"
#include "tests/client/command_line.h"
#include "tests/client/temporary_dir.h"

namespace mneme::client {
namespace {

using ::testing::ElementsAre;
using testing::FakeMemory;
using ::testing::HasSubstr;
using testing::Ran;
using testing::TemporaryDir;

constexpr char kName[] = "namespaces/default/sessions/s1";

// A float32 tensor that holds `value` everywhere.
v1::Tensor Full(const std::vector<int64_t>& shape, float value) {
  v1::Tensor tensor;
  tensor.set_data_type(v1::DATA_TYPE_FLOAT32);
  size_t count = 1;
  for (const int64_t extent : shape) {
    tensor.add_shape(extent);
    count *= extent;
  }
  const std::vector<float> numbers(count, value);
  tensor.set_data(numbers.data(), 4 * count);
  return tensor;
}

NamedTensor Queries(const std::vector<int64_t>& shape) {
  return {"F32", shape, Full(shape, 1).data()};
}

// Answers a read of layer L with L + 0.5 everywhere.
v1::AttendResponse Echo(const v1::AttendRequest& request) {
  v1::AttendResponse response;
  response.set_seq_next(7);
  for (const v1::LayerRead& read : request.reads()) {
    v1::LayerOutput& output = *response.add_outputs();
    const auto& shape = read.queries().shape();
    const float value = static_cast<float>(read.layer()) + 0.5f;
    output.set_layer(read.layer());
    *output.mutable_output() = Full({shape[0], shape[1], 3}, value);
    *output.mutable_lse() = Full({shape[0], shape[1]}, value);
    v1::TierShare& tier = *output.add_tiers();
    tier.set_tier(v1::TIER_KNN);
    tier.set_share(0.25);
  }
  return response;
}

class AttendCommand : public ::testing::Test {
 protected:
  AttendCommand() {
    fake_.AddSession(kName);
    fake_.attend = Echo;
  }
  Ran Attend(const Safetensors& in, std::vector<std::string> arguments = {}) {
    EXPECT_TRUE(WriteSafetensors(in, dir_.Path("in")).ok());
    arguments.insert(
        arguments.begin(),
        {"attend", "s1", "--in", dir_.Path("in"), "--out", dir_.Path("out")});
    return testing::RunOn(fake_, arguments);
  }
  FakeMemory fake_;
  TemporaryDir dir_;
};

TEST_F(AttendCommand, ReadsOneLayer) {
  Safetensors in;
  in.tensors["q"] = Queries({4, 2, 8});
  in.tensors["positions"] = {"I64",
                             {2},
                             std::string("\5\0\0\0\0\0\0\0"
                                         "\6\0\0\0\0\0\0\0",
                                         16)};
  const Ran ran =
      Attend(in, {"--layer", "3", "--top-k", "9", "--tiers", "window,knn"});
  ASSERT_EQ(ran.code, kExitOk) << ran.err;
  ASSERT_EQ(fake_.attend_request.reads_size(), 1);
  EXPECT_EQ(fake_.attend_request.reads(0).layer(), 3);
  EXPECT_THAT(fake_.attend_request.reads(0).positions(), ElementsAre(5, 6));
  EXPECT_EQ(fake_.attend_request.selection().top_k(), 9);
  EXPECT_THAT(fake_.attend_request.tiers(),
              ElementsAre(v1::TIER_WINDOW, v1::TIER_KNN));
  const auto out = ReadSafetensors(dir_.Path("out"));
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT(out->tensors.at("output").shape, ElementsAre(4, 2, 3));
  EXPECT_THAT(out->tensors.at("lse").shape, ElementsAre(4, 2));
  EXPECT_EQ(out->tensors.at("output").data, Full({24}, 3.5f).data());
  EXPECT_EQ(out->metadata.at("layer.3.knn"), "0.25");
  EXPECT_EQ(out->metadata.at("seq_next"), "7");
}

TEST_F(AttendCommand, ReadsEveryLayerInOneRequest) {
  Safetensors in;
  in.tensors["q"] = Queries({2, 4, 1, 8});
  const Ran ran = Attend(in, {"--exhaustive", "-o", "json"});
  ASSERT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_EQ(fake_.attend_request.reads_size(), 2);
  EXPECT_TRUE(fake_.attend_request.selection().exhaustive());
  EXPECT_THAT(ran.out, HasSubstr("\"seq_next\":\"7\""));
  const auto out = ReadSafetensors(dir_.Path("out"));
  EXPECT_THAT(out->tensors.at("output").shape, ElementsAre(2, 4, 1, 3));
  EXPECT_EQ(out->tensors.at("lse").data,
            Full({4}, 0.5f).data() + Full({4}, 1.5f).data());
}

TEST_F(AttendCommand, PicksOneOfManyLayers) {
  Safetensors in;
  in.tensors["q"] = Queries({2, 4, 1, 8});
  ASSERT_EQ(Attend(in, {"--layer", "1"}).code, kExitOk);
  ASSERT_EQ(fake_.attend_request.reads_size(), 1);
  EXPECT_EQ(fake_.attend_request.reads(0).layer(), 1);
  EXPECT_THAT(ReadSafetensors(dir_.Path("out"))->tensors.at("output").shape,
              ElementsAre(4, 1, 3));
  EXPECT_EQ(Attend(in, {"--layer", "2"}).code, kExitUsage);
}

TEST_F(AttendCommand, AppendsKeysAndValuesFirst) {
  Safetensors in;
  in.tensors["q"] = Queries({4, 2, 8});
  in.tensors["k"] = Queries({1, 2, 3, 8});
  in.tensors["v"] = Queries({1, 2, 3, 3});
  ASSERT_EQ(Attend(in).code, kExitOk);
  EXPECT_THAT(fake_.calls, ElementsAre("Attend", "Append", "Attend"));
  EXPECT_THAT(fake_.appends[0].tokens().keys().shape(),
              ElementsAre(1, 2, 3, 8));
}

TEST_F(AttendCommand, RowsOfAppendedTokensStandAtThem) {
  Safetensors in;
  in.tensors["q"] = Queries({4, 3, 8});
  in.tensors["k"] = Queries({1, 2, 3, 8});
  in.tensors["v"] = Queries({1, 2, 3, 3});
  const Ran ran = Attend(in);
  ASSERT_EQ(ran.code, kExitOk) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("appended 3 tokens"));
  const auto next = fake_.sessions.begin()->second.seq_next();
  EXPECT_THAT(fake_.attend_request.reads(0).positions(),
              ElementsAre(next - 3, next - 2, next - 1));
  // What the file says goes first.
  const std::vector<int64_t> numbers = {70, 80, 90};
  in.tensors["positions"] = {
      .dtype = "I64",
      .shape = {3},
      .data = {reinterpret_cast<const char*>(numbers.data()), 24}};
  ASSERT_EQ(Attend(in).code, kExitOk);
  EXPECT_THAT(fake_.attend_request.reads(0).positions(),
              ElementsAre(70, 80, 90));
}

TEST_F(AttendCommand, WritesNoLseThatCannotBeMerged) {
  fake_.attend = [](const v1::AttendRequest& request) {
    v1::AttendResponse response = Echo(request);
    response.mutable_outputs(0)->clear_lse();
    return response;
  };
  Safetensors in;
  in.tensors["q"] = Queries({4, 2, 8});
  const Ran ran = Attend(in);
  ASSERT_EQ(ran.code, kExitOk);
  EXPECT_THAT(ran.out, HasSubstr("no lse"));
  EXPECT_EQ(ReadSafetensors(dir_.Path("out"))->tensors.count("lse"), 0);
}

TEST_F(AttendCommand, RefusesBadInputBeforeItAppends) {
  Safetensors in;
  in.tensors["k"] = Queries({1, 2, 3, 8});
  in.tensors["v"] = Queries({1, 2, 3, 3});
  EXPECT_EQ(Attend(in).code, kExitUsage);
  in.tensors["q"] = Queries({4, 8});
  EXPECT_EQ(Attend(in).code, kExitUsage);
  in.tensors["q"] = {"I32", {1, 1, 1}, "1234"};
  EXPECT_THAT(Attend(in).err, HasSubstr("F32, F16 or BF16"));
  in.tensors["q"] = Queries({4, 2, 8});
  EXPECT_EQ(Attend(in, {"--top-k", "3", "--exhaustive"}).code, kExitUsage);
  const Ran typo = Attend(in, {"--tiers", "window,knm"});
  EXPECT_EQ(typo.code, kExitUsage);
  EXPECT_THAT(typo.err, HasSubstr("did you mean \"knn\"?"));
  EXPECT_TRUE(fake_.calls.empty());
}

TEST_F(AttendCommand, AnAnswerOfAnotherShapeIsNotWritten) {
  Safetensors in;
  in.tensors["q"] = Queries({2, 4, 1, 8});
  fake_.attend = [](const v1::AttendRequest& request) {
    v1::AttendResponse response = Echo(request);
    *response.mutable_outputs(1)->mutable_output() = Full({1}, 0);
    return response;
  };
  EXPECT_EQ(Attend(in).code, kExitFailed);
  fake_.attend = [](const v1::AttendRequest&) { return v1::AttendResponse(); };
  EXPECT_EQ(Attend(in).code, kExitFailed);
  EXPECT_EQ(dir_.FileCount(), 1);
}

}  // namespace
}  // namespace mneme::client
