#include "client/client.h"

#include <chrono>

#include "base/error.h"
#include "gmock/gmock.h"
#include "tests/client/fake_memory.h"

namespace mneme::client {
namespace {

using std::chrono::milliseconds;
using testing::FakeMemory;
using ::testing::SizeIs;

constexpr char kName[] = "namespaces/default/sessions/s1";

absl::Status Busy(milliseconds retry_after) {
  return base::Error(absl::StatusCode::kResourceExhausted, "queue is full",
                     {.reason = "QUEUE_FULL",
                      .field = "",
                      .metadata = {},
                      .retry_after = retry_after});
}

v1::AppendRequest Text(const std::string& request_id) {
  v1::AppendRequest request;
  request.set_session(kName);
  request.set_request_id(request_id);
  request.mutable_text()->set_text("words");
  return request;
}

TEST(SessionName, ExpandsShortNames) {
  EXPECT_EQ(SessionName("s1"), kName);
  EXPECT_EQ(SessionName("team/s1"), "namespaces/team/sessions/s1");
  EXPECT_EQ(SessionName(kName), kName);
}

TEST(SessionName, LeavesJudgementToTheServer) {
  EXPECT_EQ(SessionName(""), "namespaces/default/sessions/");
  EXPECT_EQ(SessionName("a/b/c"), "namespaces/a/sessions/b/c");
  EXPECT_EQ(SessionName("namespaces/x"), "namespaces/x");
  EXPECT_EQ(SessionName("É!"), "namespaces/default/sessions/É!");
}

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() { fake_.AddSession(kName); }
  FakeMemory fake_;
  Client client_{fake_.Channel()};
};

TEST_F(ClientTest, ReadsAreRetriedWhenTheServerIsAway) {
  fake_.failures = {absl::UnavailableError("restarting"),
                    absl::UnavailableError("restarting")};
  EXPECT_TRUE(client_.GetSession(kName).ok());
  EXPECT_THAT(fake_.calls, SizeIs(3));
}

TEST_F(ClientTest, RetriesEndWithTheServersError) {
  fake_.failures.assign(9, absl::UnavailableError("restarting"));
  const absl::Status status = client_.GetSession(kName).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(status.message(), "restarting");
  EXPECT_THAT(fake_.calls, SizeIs(ClientOptions().attempts));
}

TEST_F(ClientTest, AFullQueueIsRetriedAfterTheTimeItAsksFor) {
  fake_.failures = {Busy(milliseconds(200))};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(client_.GetSession(kName).ok());
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(200));
  EXPECT_THAT(fake_.calls, SizeIs(2));
}

TEST_F(ClientTest, ExhaustionWithoutRetryInfoIsFinal) {
  fake_.failures = {absl::ResourceExhaustedError("quota")};
  EXPECT_TRUE(absl::IsResourceExhausted(client_.GetSession(kName).status()));
  EXPECT_THAT(fake_.calls, SizeIs(1));
}

TEST_F(ClientTest, ACallThatAServerCutsOffAtItsEndIsRetried) {
  fake_.failures = {absl::CancelledError("")};
  EXPECT_TRUE(client_.GetSession(kName).ok());
  EXPECT_THAT(fake_.calls, SizeIs(2));
  fake_.failures = {absl::CancelledError("")};
  const absl::Status status = client_.Append(Text("")).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(status.message(), "the server is shutting down");
}

TEST_F(ClientTest, OtherErrorsAreFinal) {
  for (const auto code :
       {absl::StatusCode::kInternal, absl::StatusCode::kDataLoss,
        absl::StatusCode::kInvalidArgument, absl::StatusCode::kAborted}) {
    fake_.calls.clear();
    fake_.failures = {absl::Status(code, "no")};
    EXPECT_EQ(client_.GetSession(kName).status().code(), code);
    EXPECT_THAT(fake_.calls, SizeIs(1));
  }
}

TEST_F(ClientTest, AppendsAreRetriedOnlyWithARequestId) {
  fake_.failures = {absl::UnavailableError("")};
  EXPECT_TRUE(client_.Append(Text("id")).ok());
  EXPECT_THAT(fake_.calls, SizeIs(2));
  fake_.calls.clear();
  fake_.failures = {absl::UnavailableError("")};
  EXPECT_TRUE(absl::IsUnavailable(client_.Append(Text("")).status()));
  EXPECT_THAT(fake_.calls, SizeIs(1));
}

TEST_F(ClientTest, MutationsThatCannotBeRepeatedAreNot) {
  fake_.failures.assign(3, absl::UnavailableError(""));
  EXPECT_FALSE(client_.DeleteSession(kName).ok());
  v1::ForgetRequest forget;
  forget.set_session(kName);
  EXPECT_FALSE(client_.Forget(forget).ok());
  EXPECT_FALSE(client_.CreateSession(v1::CreateSessionRequest()).ok());
  fake_.failures.assign(1, absl::UnavailableError(""));
  v1::CommitWindowRequest commit;
  commit.set_session(kName);
  EXPECT_FALSE(client_.CommitWindow(commit).ok());
  EXPECT_THAT(fake_.calls, SizeIs(4));
}

TEST_F(ClientTest, ARetryThatWouldMissTheDeadlineIsNotMade) {
  Client hurried(fake_.Channel(), {.deadline = milliseconds(2000)});
  fake_.failures = {Busy(milliseconds(60'000))};
  EXPECT_TRUE(absl::IsResourceExhausted(hurried.GetSession(kName).status()));
  EXPECT_THAT(fake_.calls, SizeIs(1));
}

TEST_F(ClientTest, ErrorsKeepReasonFieldAndFacts) {
  const absl::Status status =
      client_.GetSession("namespaces/default/sessions/none").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  const base::ErrorDetail detail = base::DetailOf(status);
  EXPECT_EQ(detail.reason, "SESSION_NOT_FOUND");
  EXPECT_EQ(detail.field, "session");
  EXPECT_EQ(detail.metadata.at("session"), "namespaces/default/sessions/none");
}

TEST_F(ClientTest, EveryMethodReachesItsNamesake) {
  v1::RecallRequest recall;
  recall.set_session(kName);
  v1::AssembleContextRequest context;
  context.set_session(kName);
  v1::AttendRequest attend;
  attend.set_session(kName);
  fake_.attend = [](const v1::AttendRequest&) { return v1::AttendResponse(); };
  EXPECT_TRUE(client_.Recall(recall).ok());
  EXPECT_TRUE(client_.AssembleContext(context).ok());
  EXPECT_TRUE(client_.Attend(attend).ok());
  EXPECT_EQ(client_.GetCompressiveState(kName, 3)->absorbed_seq(), 3);
  EXPECT_EQ(fake_.state_request.known_version(), 0);
  EXPECT_TRUE(client_.GetCompressiveState(kName, 3, 7).ok());
  EXPECT_EQ(fake_.state_request.known_version(), 7);
  v1::CommitWindowRequest commit;
  commit.set_session(kName);
  EXPECT_TRUE(client_.CommitWindow(commit).ok());
  v1::ReadTokensRequest tokens;
  tokens.set_session(kName);
  EXPECT_TRUE(client_.ReadTokens(tokens).ok());
  fake_.presets.emplace_back().mutable_profile()->set_name("fot");
  EXPECT_EQ(client_.GetProfile("fot")->profile().name(), "fot");
  EXPECT_EQ(client_.ListProfiles()->presets_size(), 1);
  EXPECT_TRUE(client_.Verify(kName).ok());
  EXPECT_TRUE(client_.Stats("").ok());
  EXPECT_TRUE(client_.ListSessions({}).ok());
  EXPECT_TRUE(client_.DeleteSession(kName).ok());
  EXPECT_THAT(
      fake_.calls,
      ::testing::ElementsAre(
          "Recall", "AssembleContext", "Attend", "GetCompressiveState",
          "GetCompressiveState", "CommitWindow", "ReadTokens", "GetProfile",
          "ListProfiles", "Verify", "Stats", "ListSessions", "DeleteSession"));
}

TEST(Connect, ReachesAnAddress) {
  FakeMemory fake;
  fake.AddSession(kName);
  Client client(Connect(fake.Address()));
  EXPECT_EQ(client.GetSession(kName)->name(), kName);
}

TEST(Connect, SendsAndTakesMoreThanFourMebibytes) {
  FakeMemory fake;
  fake.AddSession(kName);
  Client client(Connect(fake.Address()));
  v1::AppendRequest request = Text("id");
  request.mutable_text()->set_text(std::string(6 << 20, 'x'));
  EXPECT_TRUE(client.Append(request).ok());
  fake.context_response.set_context(std::string(6 << 20, 'x'));
  v1::AssembleContextRequest context;
  context.set_session(kName);
  EXPECT_EQ(client.AssembleContext(context)->context().size(), 6 << 20);
}

TEST(Connect, SendsTheTokenWithEveryCall) {
  FakeMemory fake;
  fake.AddSession(kName);
  const auto channel = Connect(fake.Address(), {.token = "t"});
  ASSERT_TRUE(channel.ok()) << channel.status();
  Client client(*channel);
  for (int call = 0; call < 2; ++call) {
    EXPECT_TRUE(client.GetSession(kName).ok());
    EXPECT_EQ(fake.authorization, "Bearer t");
  }
  EXPECT_TRUE(Client(Connect(fake.Address())).GetSession(kName).ok());
  EXPECT_EQ(fake.authorization, "");
}

TEST(Connect, FilesThatCannotBeUsedAreNamed) {
  const auto field = [](const Credentials& credentials) {
    return base::DetailOf(Connect("127.0.0.1:1", credentials).status()).field;
  };
  EXPECT_EQ(field({.token_file = "/no/such"}), "token_file");
  EXPECT_EQ(field({.ca_file = "/no/such"}), "tls_ca");
  EXPECT_EQ(field({.ca_file = "/dev/null"}), "tls_ca");
  EXPECT_EQ(field({.cert_file = "/no/such"}), "tls_key");
  EXPECT_EQ(field({.key_file = "/no/such"}), "tls_cert");
  EXPECT_EQ(field({.cert_file = "/no/such", .key_file = "/no"}), "tls_cert");
}

TEST(Connect, ToWhatIsNoAddressIsRefused) {
  const absl::Status status = Connect("localhost", Credentials()).status();
  EXPECT_EQ(base::DetailOf(status).field, "server");
}

TEST(Connect, ToNobodyIsUnavailable) {
  Client client(Connect("unix:/nonexistent/mneme.sock"));
  EXPECT_TRUE(absl::IsUnavailable(client.GetSession(kName).status()));
}

}  // namespace
}  // namespace mneme::client
