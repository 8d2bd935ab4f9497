// What a program may send that is wrong: each is refused with code, reason and
// words that help, nothing is half-done, and the server serves on.

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/error.h"
#include "client/client.h"
#include "tests/client/temporary_dir.h"
#include "tests/e2e/server_process.h"

namespace mneme::e2e {
namespace {

using std::chrono::steady_clock;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kText[] = "namespaces/default/sessions/text";
constexpr char kRows[] = "namespaces/default/sessions/rows";
constexpr int kDim = 4;

std::string Required(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

// The last number in a file of numbers; 0 without any.
uint64_t LastLine(const std::string& path) {
  std::ifstream lines(path);
  uint64_t last = 0;
  for (uint64_t number = 0; lines >> number;) last = number;
  return last;
}

class BadRequest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_NE(Required("MNEME_BINARY"), "") << "the path of mneme is expected";
    scratch_ = new testing::TemporaryDir;
    server_ = new ServerProcess(Required("MNEME_BINARY"), scratch_->Path(""));
    ASSERT_TRUE(server_->Start().ok());
    client::Client client(client::Connect(server_->address()));
    v1::CreateSessionRequest text;
    text.set_session(kText);
    text.set_profile_name("text");
    ASSERT_TRUE(client.CreateSession(text).ok());
    v1::CreateSessionRequest rows;
    rows.set_session(kRows);
    rows.mutable_profile()->set_key_dim(kDim);
    rows.mutable_profile()->set_data_type(v1::DATA_TYPE_FLOAT32);
    rows.mutable_profile()->mutable_window()->set_tokens(8);
    rows.mutable_profile()->mutable_knn()->set_top_k(4);
    ASSERT_TRUE(client.CreateSession(rows).ok());
    ASSERT_TRUE(client.Append(Words("The cat sat on the mat.")).ok());
    ASSERT_TRUE(client.Append(Tokens(3)).ok());
  }
  static void TearDownTestSuite() {
    if (server_ != nullptr && server_->Running()) {
      const auto code = server_->Stop();
      EXPECT_TRUE(code.ok()) << code.status();
      EXPECT_EQ(code.value_or(-1), 0);
    }
    delete server_;
    delete scratch_;
  }

  void SetUp() override {
    client_ =
        std::make_unique<client::Client>(client::Connect(server_->address()));
    before_text_ = SeqOf(kText);
    before_rows_ = SeqOf(kRows);
  }
  // Whatever a test sent: the server serves, and both logs are whole.
  void TearDown() override {
    ASSERT_TRUE(server_->Running());
    for (const char* session : {kText, kRows}) {
      const auto verified = client_->Verify(session);
      ASSERT_TRUE(verified.ok()) << verified.status();
      EXPECT_TRUE(verified->clean()) << verified->ShortDebugString();
    }
    const auto append = client_->Append(Words("It still serves."));
    EXPECT_TRUE(append.ok()) << append.status();
  }

  static v1::AppendRequest Words(const std::string& text) {
    v1::AppendRequest request;
    request.set_session(kText);
    request.mutable_text()->set_text(text);
    return request;
  }
  static void SetTensor(const std::vector<int64_t>& shape, float element,
                        v1::Tensor& tensor) {
    tensor.set_data_type(v1::DATA_TYPE_FLOAT32);
    size_t count = 1;
    for (const int64_t extent : shape) {
      tensor.add_shape(extent);
      count *= static_cast<size_t>(extent);
    }
    const std::vector<float> elements(count, element);
    tensor.set_data(elements.data(), count * sizeof(float));
  }
  static v1::AppendRequest Tokens(int64_t count, int64_t dim = kDim,
                                  float element = 1) {
    v1::AppendRequest request;
    request.set_session(kRows);
    v1::TokenRows& tokens = *request.mutable_tokens();
    SetTensor({1, 1, count, dim}, element, *tokens.mutable_keys());
    SetTensor({1, 1, count, dim}, element, *tokens.mutable_values());
    return request;
  }
  static v1::AttendRequest Read(float element = 1) {
    v1::AttendRequest request;
    request.set_session(kRows);
    SetTensor({1, 1, kDim}, element, *request.add_reads()->mutable_queries());
    return request;
  }

  uint64_t SeqOf(const std::string& session) {
    const auto found = client_->GetSession(session);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? found->seq_next() : 0;
  }
  // `status` is what was expected, and nothing was appended.
  void ExpectRefused(const absl::Status& status, absl::StatusCode code,
                     const std::string& reason, const std::string& given,
                     const std::string& expected) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(base::DetailOf(status).reason, reason) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(given), HasSubstr(expected)));
    EXPECT_EQ(SeqOf(kText), before_text_);
    EXPECT_EQ(SeqOf(kRows), before_rows_);
  }
  void ExpectInvalid(const absl::Status& status, const std::string& field,
                     const std::string& given, const std::string& expected) {
    ExpectRefused(status, absl::StatusCode::kInvalidArgument, "INVALID_FIELD",
                  given, expected);
    EXPECT_EQ(base::DetailOf(status).field, field) << status;
  }

  static testing::TemporaryDir* scratch_;
  static ServerProcess* server_;
  std::unique_ptr<client::Client> client_;
  uint64_t before_text_ = 0;
  uint64_t before_rows_ = 0;
};

testing::TemporaryDir* BadRequest::scratch_ = nullptr;
ServerProcess* BadRequest::server_ = nullptr;

TEST_F(BadRequest, EmptyTextIsRefused) {
  ExpectInvalid(client_->Append(Words("")).status(), "text.text", "nothing",
                "at least one word");
  ExpectInvalid(client_->Append(Words(" \n\t ")).status(), "text.text",
                "only white space", "at least one word");
}

TEST_F(BadRequest, InvalidUtf8IsRefusedWithItsOffset) {
  ExpectInvalid(client_->Append(Words("good \xC3\x28 bad")).status(),
                "text.text", "invalid UTF-8 at byte 5", "UTF-8");
  // An overlong form, a surrogate, a code point cut off at the end.
  for (const char* bad : {"ab\xC0\xAF", "ab\xED\xA0\x80", "ab\xE2\x82"}) {
    ExpectInvalid(client_->Append(Words(bad)).status(), "text.text",
                  "invalid UTF-8 at byte 2", "UTF-8");
  }
  v1::RecallRequest recall;
  recall.set_session(kText);
  recall.set_query("who \xFF?");
  ExpectInvalid(client_->Recall(recall).status(), "query", "4", "UTF-8");
}

TEST_F(BadRequest, ATextAboveOneMebibyteIsRefusedWithItsSize) {
  const std::string text((1 << 20) + 1, 'a');
  ExpectInvalid(client_->Append(Words(text)).status(), "text.text",
                "1048577 bytes", "at most 1048576");
}

TEST_F(BadRequest, AnUnknownSessionIsNamed) {
  v1::AppendRequest request = Words("words");
  request.set_session("namespaces/default/sessions/nobody");
  ExpectRefused(client_->Append(request).status(), absl::StatusCode::kNotFound,
                "SESSION_NOT_FOUND", "namespaces/default/sessions/nobody",
                "create it first");
  request.set_session("../etc/passwd");
  ExpectInvalid(client_->Append(request).status(), "session", "../etc/passwd",
                "namespaces/{namespace}/sessions/{session}");
}

TEST_F(BadRequest, TheOtherPayloadIsRefused) {
  v1::AppendRequest tokens = Tokens(1);
  tokens.set_session(kText);
  ExpectRefused(client_->Append(tokens).status(),
                absl::StatusCode::kFailedPrecondition, "WRONG_PAYLOAD",
                "got tokens", "text");
  v1::AppendRequest words = Words("words");
  words.set_session(kRows);
  ExpectRefused(client_->Append(words).status(),
                absl::StatusCode::kFailedPrecondition, "WRONG_PAYLOAD",
                "got text", "tokens");
}

TEST_F(BadRequest, WrongDimensionsAreRefusedWithBothShapes) {
  ExpectInvalid(client_->Append(Tokens(2, kDim + 1)).status(),
                "tokens.keys.shape", "[1, 1, 2, 5]", "key_dim = 4");
  v1::AppendRequest uneven = Tokens(2);
  *uneven.mutable_tokens()->mutable_values() = Tokens(3).tokens().values();
  ExpectInvalid(client_->Append(uneven).status(), "tokens.values.shape",
                "[1, 1, 3, 4]", "tokens = 2");
  v1::AppendRequest short_data = Tokens(2);
  short_data.mutable_tokens()->mutable_keys()->mutable_data()->pop_back();
  ExpectInvalid(client_->Append(short_data).status(), "tokens.keys.data",
                "31 bytes", "32 bytes");
  v1::AppendRequest huge = Tokens(1);
  huge.mutable_tokens()->mutable_keys()->set_shape(2, int64_t{1} << 62);
  ExpectInvalid(client_->Append(huge).status(), "tokens.keys.shape",
                "4611686018427387904", "67108864");
  v1::AttendRequest read = Read();
  read.mutable_reads(0)->mutable_queries()->set_shape(2, 2);
  ExpectInvalid(client_->Attend(read).status(), "reads[0].queries.shape",
                "[1, 1, 2]", "key_dim = 4");
}

TEST_F(BadRequest, AnotherDataTypeIsRefused) {
  v1::AppendRequest half = Tokens(2);
  for (v1::Tensor* tensor : {half.mutable_tokens()->mutable_keys(),
                             half.mutable_tokens()->mutable_values()}) {
    tensor->set_data_type(v1::DATA_TYPE_FLOAT16);
    tensor->mutable_data()->resize(2 * kDim * 2);
  }
  ExpectInvalid(client_->Append(half).status(), "tokens.keys.data_type",
                "float16", "float32");
  v1::AppendRequest none = Tokens(2);
  none.mutable_tokens()->mutable_keys()->clear_data_type();
  ExpectInvalid(client_->Append(none).status(), "tokens.keys.data_type",
                "value 0", "FLOAT32");
}

TEST_F(BadRequest, NaNAndInfinityAreRefused) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    const absl::Status keys = client_->Append(Tokens(2, kDim, bad)).status();
    ExpectInvalid(keys, base::DetailOf(keys).field, "NaN or infinity",
                  "finite");
    EXPECT_THAT(base::DetailOf(keys).field, HasSubstr("tokens.keys"));
    v1::AppendRequest request = Tokens(2);
    *request.mutable_tokens()->mutable_values() =
        Tokens(2, kDim, bad).tokens().values();
    const absl::Status values = client_->Append(request).status();
    ExpectInvalid(values, base::DetailOf(values).field, "NaN or infinity",
                  "finite");
    EXPECT_THAT(base::DetailOf(values).field, HasSubstr("tokens.values"));
    ExpectInvalid(client_->Attend(Read(bad)).status(), "reads[0].queries.data",
                  "NaN or infinity", "finite");
  }
}

TEST_F(BadRequest, AskingForNothingOrForABillionIsRefused) {
  for (const uint32_t k : {0u, 1'000'000'000u}) {
    v1::RecallRequest recall;
    recall.set_session(kText);
    recall.set_query("cat");
    recall.set_limit(k);
    ExpectInvalid(client_->Recall(recall).status(), "limit", absl::StrCat(k),
                  "1 to 1000");
    v1::AttendRequest attend = Read();
    attend.mutable_selection()->set_top_k(k);
    ExpectInvalid(client_->Attend(attend).status(), "selection.top_k",
                  absl::StrCat(k), "1 to 1048576");
  }
}

TEST_F(BadRequest, ABudgetOfZeroIsRefused) {
  v1::AssembleContextRequest context;
  context.set_session(kText);
  context.set_query("cat");
  ExpectInvalid(client_->AssembleContext(context).status(), "budget_tokens",
                "0", "1 to 1000000");
}

TEST_F(BadRequest, AWrongExpectedSeqIsRefusedWithTheRightOne) {
  v1::AppendRequest request = Words("words");
  request.set_expected_seq(before_text_ + 7);
  const absl::Status status = client_->Append(request).status();
  ExpectRefused(status, absl::StatusCode::kFailedPrecondition, "SEQ_MISMATCH",
                absl::StrCat("got ", before_text_ + 7),
                absl::StrCat("expected ", before_text_));
  EXPECT_EQ(base::DetailOf(status).metadata.at("expected"),
            absl::StrCat(before_text_));
  request.set_expected_seq(before_text_);
  EXPECT_TRUE(client_->Append(request).ok());
}

TEST_F(BadRequest, ARepeatedRequestIdAppendsNothing) {
  v1::AppendRequest request = Words("Said once.");
  request.set_request_id("once");
  const auto first = client_->Append(request);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_FALSE(first->replayed());
  before_text_ = SeqOf(kText);
  const auto again = client_->Append(request);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_TRUE(again->replayed());
  EXPECT_EQ(again->entry(), first->entry());
  EXPECT_EQ(again->seq_first(), first->seq_first());
  EXPECT_EQ(again->seq_next(), first->seq_next());
  EXPECT_EQ(SeqOf(kText), before_text_);

  request.mutable_text()->set_text("Said otherwise.");
  const absl::Status other = client_->Append(request).status();
  ExpectRefused(other, absl::StatusCode::kFailedPrecondition,
                "REQUEST_ID_REUSED", "\"once\"", "a new id");
}

TEST_F(BadRequest, AMessageAboveTheLimitIsRefused) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(-1);
  client::Client unlimited(grpc::CreateCustomChannel(
      server_->address(), grpc::InsecureChannelCredentials(), arguments));
  // gRPC refuses it before we see it: no reason of ours, but both sizes.
  ExpectRefused(unlimited.Append(Words(std::string(65 << 20, 'a'))).status(),
                absl::StatusCode::kResourceExhausted, "", "68157", "67108864");
}

TEST_F(BadRequest, AClientThatVanishesLeavesWholeTokens) {
  const std::string program = Required("MNEME_VANISHING_CLIENT");
  ASSERT_NE(program, "");
  for (const char* how : {"stream", "append"}) {
    const std::string log = scratch_->Path(absl::StrCat("vanishing-", how));
    const auto pid = Spawn({program, server_->address(), kRows, how}, log);
    ASSERT_TRUE(pid.ok()) << pid.status();
    // In the midst of it: some answers came, and more are under way.
    const auto deadline = steady_clock::now() + std::chrono::seconds(30);
    while (LastLine(log) < before_rows_ + 50 &&
           steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ::kill(*pid, SIGKILL);
    ::waitpid(*pid, nullptr, 0);
    const uint64_t seen = LastLine(log);
    ASSERT_GE(seen, before_rows_ + 50) << how;
    // Whatever it was told is there; at most one more was under way.
    const uint64_t after = SeqOf(kRows);
    EXPECT_GE(after, seen) << how;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    EXPECT_LE(SeqOf(kRows), after + 1) << how;
    const auto attended = client_->Attend(Read());
    ASSERT_TRUE(attended.ok()) << attended.status();
    before_rows_ = SeqOf(kRows);
    EXPECT_EQ(attended->seq_next(), before_rows_);
  }
}

}  // namespace
}  // namespace mneme::e2e
