#include "client/safetensors.h"

#include <cstring>

#include "gmock/gmock.h"
#include "tests/client/temporary_dir.h"
#include "tests/testing/random.h"

namespace mneme::client {
namespace {

using ::testing::HasSubstr;
using testing::TemporaryDir;

// A file of this header and data.
std::string File(const std::string& header, const std::string& data = "") {
  uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

void ExpectRefused(const std::string& bytes, const std::string& why) {
  const absl::Status status = ParseSafetensors(bytes).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(why));
}

TEST(ParseSafetensors, ReadsAFileByHand) {
  const auto content = ParseSafetensors(
      File(R"({"__metadata__":{"k":"v"},)"
           R"("a":{"dtype":"F16","shape":[2,1],"data_offsets":[0,4]},)"
           R"("b":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}   )",
           "abcd12345678"));
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->metadata.at("k"), "v");
  EXPECT_TRUE(content->tensors.at("a") == (NamedTensor{"F16", {2, 1}, "abcd"}));
  EXPECT_TRUE(content->tensors.at("b") == (NamedTensor{"I64", {}, "12345678"}));
}

TEST(ParseSafetensors, ReadsNoTensorsAndEmptyTensors) {
  EXPECT_TRUE(ParseSafetensors(File("{}")).ok());
  const auto content = ParseSafetensors(
      File(R"({"e":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]}})"));
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->tensors.at("e").data, "");
}

TEST(ParseSafetensors, RefusesABadHeader) {
  ExpectRefused("", "0 bytes");
  ExpectRefused("1234567", "7 bytes");
  ExpectRefused(File("{}").substr(0, 9), "cut off");
  std::string huge(8, '\xFF');
  ExpectRefused(huge + "{}", "at most");
  ExpectRefused(File(""), "not a JSON object");
  ExpectRefused(File("[]"), "not a JSON object");
  ExpectRefused(File("{\"a\":"), "not a JSON object");
  ExpectRefused(File("{\"\xFF\":1}"), "not a JSON object");
  ExpectRefused(File("{} x"), "not a JSON object");
  ExpectRefused(File(std::string(1'000'000, '[')), "nested too deeply");
  ExpectRefused(File(R"({"a":{"shape":[[[1]]]}})"), "nested too deeply");
  ExpectRefused(File(R"({"__metadata__":[]})"), "metadata");
  ExpectRefused(File(R"({"__metadata__":{"k":1}})"), "metadata \"k\"");
}

TEST(ParseSafetensors, RefusesKeysThatRepeat) {
  const std::string tensor =
      R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  ExpectRefused(File("{" + tensor + "," + tensor + "}", "x"), "\"a\" stands");
  ExpectRefused(File(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],)"
                     R"("data_offsets":[0,1]}})",
                     "x"),
                "\"dtype\" stands");
}

TEST(ParseSafetensors, RefusesABadTensorByName) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(7)", "not a JSON object"},
      {R"({"shape":[1],"data_offsets":[0,4]})", "dtype"},
      {R"({"dtype":1,"shape":[1],"data_offsets":[0,4]})", "dtype"},
      {R"({"dtype":"F8","shape":[1],"data_offsets":[0,4]})", "unknown dtype"},
      {R"({"dtype":"F32","data_offsets":[0,4]})", "shape"},
      {R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})", "shape"},
      {R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "extent"},
      {R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})", "extent"},
      {R"({"dtype":"F32","shape":[9223372036854775808],)"
       R"("data_offsets":[0,4]})",
       "extent"},
      {R"({"dtype":"F32","shape":[1]})", "data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0]})", "data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,4]})", "data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,-4]})", "data_offsets"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})",
       "ends before it begins"},
      {R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", "need 8"},
      {R"({"dtype":"F32","shape":[4294967296,4294967296],)"
       R"("data_offsets":[0,4]})",
       "overflows"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})",
       "unknown key"},
  };
  for (const auto& [tensor, why] : cases) {
    ExpectRefused(File(std::string(R"({"t":)") + tensor + "}", "1234"), why);
    ExpectRefused(File(std::string(R"({"t":)") + tensor + "}", "1234"),
                  "\"t\"");
  }
}

TEST(ParseSafetensors, RefusesRangesThatDoNotTileTheData) {
  const auto two = [](const char* a, const char* b) {
    return std::string(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)") +
           a + R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}";
  };
  const std::string data = "12345678";
  EXPECT_TRUE(ParseSafetensors(File(two("[4,8]", "[0,4]"), data)).ok());
  ExpectRefused(File(two("[0,4]", "[3,7]"), data), "overlaps");
  ExpectRefused(File(two("[0,4]", "[0,4]"), data), "overlaps");
  ExpectRefused(File(two("[0,4]", "[5,9]"), data + "9"), "hole of 1");
  ExpectRefused(File(two("[1,5]", "[5,9]"), data + "9"), "hole of 1");
  ExpectRefused(File(two("[0,4]", "[4,8]"), data + "9"), "1 bytes at the end");
  ExpectRefused(File(two("[0,4]", "[4,8]"), "1234567"), "of 7 bytes");
}

TEST(ParseSafetensors, RefusesEveryTruncation) {
  const std::string whole = File(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  ASSERT_TRUE(ParseSafetensors(whole).ok());
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_TRUE(absl::IsInvalidArgument(
        ParseSafetensors(whole.substr(0, bytes)).status()))
        << bytes;
  }
}

TEST(ParseSafetensors, SurvivesEveryChangedByte) {
  const std::string whole = File(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", "12345678");
  testing::Random random(testing::Seed());
  for (size_t place = 0; place < whole.size(); ++place) {
    for (int round = 0; round < 16; ++round) {
      std::string changed = whole;
      changed[place] = static_cast<char>(random.Int(0, 255));
      const auto content = ParseSafetensors(changed);
      if (content.ok()) continue;
      EXPECT_TRUE(absl::IsInvalidArgument(content.status()));
    }
  }
}

TEST(WriteSafetensors, IsReadBackAsItWas) {
  const TemporaryDir dir;
  testing::Random random(testing::Seed());
  for (int round = 0; round < 50; ++round) {
    Safetensors content;
    const std::pair<const char*, int> types[] = {
        {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"F64", 8}, {"U8", 1}};
    for (int64_t i = random.Int(0, 6); i > 0; --i) {
      const auto& [dtype, bytes] = types[random.Int(0, 5)];
      NamedTensor tensor{dtype, {}, ""};
      int64_t size = bytes;
      for (int64_t d = random.Int(0, 4); d > 0; --d) {
        tensor.shape.push_back(random.Int(0, 4));
        size *= tensor.shape.back();
      }
      for (int64_t b = 0; b < size; ++b) {
        tensor.data += static_cast<char>(random.Int(0, 255));
      }
      content.tensors["tensor \"" + std::to_string(i) + "\" é"] = tensor;
    }
    if (round % 2 == 0) content.metadata["a key"] = "a\nvalue";
    ASSERT_TRUE(WriteSafetensors(content, dir.Path("f")).ok());
    const auto read = ReadSafetensors(dir.Path("f"));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(read->tensors == content.tensors);
    EXPECT_EQ(read->metadata, content.metadata);
    EXPECT_EQ(dir.FileCount(), 1);  // No temporary stays.
  }
}

TEST(WriteSafetensors, AlignsTheData) {
  const TemporaryDir dir;
  Safetensors content;
  content.tensors["a"] = {"U8", {1}, "x"};
  content.tensors["b"] = {"I64", {1}, "12345678"};
  ASSERT_TRUE(WriteSafetensors(content, dir.Path("f")).ok());
  EXPECT_EQ(dir.Read("f").find("12345678") % 8, 0);
}

TEST(WriteSafetensors, LeavesTheOldFileWhenItCannotWrite) {
  const TemporaryDir dir;
  dir.Write("f", "old");
  Safetensors wrong;
  wrong.tensors["a"] = {"F32", {2}, "1234"};
  EXPECT_TRUE(absl::IsInvalidArgument(WriteSafetensors(wrong, dir.Path("f"))));
  EXPECT_EQ(dir.Read("f"), "old");
  EXPECT_TRUE(absl::IsNotFound(WriteSafetensors({}, dir.Path("no/such/f"))));
  EXPECT_EQ(dir.FileCount(), 1);
}

TEST(ReadSafetensors, NamesTheFile) {
  const TemporaryDir dir;
  EXPECT_TRUE(absl::IsNotFound(ReadSafetensors(dir.Path("none")).status()));
  const absl::Status status = ReadSafetensors(dir.Write("f", "x")).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir.Path("f")));
}

}  // namespace
}  // namespace mneme::client
