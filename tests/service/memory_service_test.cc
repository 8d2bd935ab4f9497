#include "service/memory_service.h"

#include <grpcpp/test/default_reactor_test_peer.h>

#include <algorithm>
#include <cstring>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/status.h"
#include "tests/testing/map_store.h"

namespace mneme::service {
namespace {

using ::testing::HasSubstr;

constexpr char kText[] = "namespaces/n/sessions/text";
constexpr char kTokens[] = "namespaces/n/sessions/tokens";

void Fill(std::vector<int64_t> shape, float value, v1::Tensor* tensor) {
  size_t count = 1;
  tensor->Clear();
  for (const int64_t extent : shape) {
    tensor->add_shape(extent);
    count *= static_cast<size_t>(extent);
  }
  const std::vector<float> elements(count, value);
  tensor->set_data_type(v1::DATA_TYPE_FLOAT32);
  tensor->set_data(elements.data(), count * sizeof(float));
}

v1::AppendRequest TextOf(const std::string& text) {
  v1::AppendRequest request;
  request.set_session(kText);
  request.mutable_text()->set_text(text);
  return request;
}

v1::AppendRequest TokensOf(int64_t count, float value = 0.5F) {
  v1::AppendRequest request;
  request.set_session(kTokens);
  Fill({2, 1, count, 4}, value, request.mutable_tokens()->mutable_keys());
  Fill({2, 1, count, 3}, value, request.mutable_tokens()->mutable_values());
  return request;
}

v1::AttendRequest AttendWith(float value = 1) {
  v1::AttendRequest request;
  request.set_session(kTokens);
  v1::LayerRead* read = request.add_reads();
  read->set_layer(1);
  Fill({2, 1, 4}, value, read->mutable_queries());
  return request;
}

v1::Profile TokenProfile() {
  v1::Profile profile;
  profile.set_layers(2);
  profile.set_query_heads(2);
  profile.set_key_dim(4);
  profile.set_value_dim(3);
  profile.set_data_type(v1::DATA_TYPE_FLOAT32);
  profile.mutable_window()->set_tokens(16);
  return profile;
}

// The handlers over a real memory in a store in memory, without a transport.
class MemoryServiceTest : public ::testing::Test {
 protected:
  MemoryServiceTest() {
    memory_ =
        memory::Memory::Open(std::make_unique<testing::MapStore>(), &clock_)
            .value();
    executor_ = std::make_unique<Executor>(Executor::Options{.threads = 1});
    door_ =
        std::make_unique<Door>(executor_.get(), &metrics_, &limits_, &clock_);
    service_ = std::make_unique<MemoryService>(memory_.get(), door_.get(),
                                               &metrics_, &limits_, &clock_);
    v1::CreateSessionRequest request;
    request.set_session(kText);
    request.set_profile_name("text");
    EXPECT_EQ(Create(request), absl::OkStatus());
    request.set_session(kTokens);
    *request.mutable_profile() = TokenProfile();
    EXPECT_EQ(Create(request), absl::OkStatus());
  }

  template <typename Method, typename Request, typename Response>
  absl::Status Ask(Method method, const Request& request, Response* response) {
    std::promise<grpc::Status> answer;
    // The peer still touches its context after it has answered.
    contexts_.push_back(std::make_unique<grpc::CallbackServerContext>());
    grpc::testing::DefaultReactorTestPeer peer(
        contexts_.back().get(),
        [&answer](const grpc::Status& status) { answer.set_value(status); });
    (service_.get()->*method)(contexts_.back().get(), &request, response);
    return proto::FromGrpc(answer.get_future().get());
  }

  absl::Status Create(const v1::CreateSessionRequest& request) {
    v1::CreateSessionResponse response;
    return Ask(&MemoryService::CreateSession, request, &response);
  }
  absl::Status Append(const v1::AppendRequest& request) {
    v1::AppendResponse response;
    return Ask(&MemoryService::Append, request, &response);
  }
  absl::Status Attend(const v1::AttendRequest& request) {
    v1::AttendResponse response;
    return Ask(&MemoryService::Attend, request, &response);
  }
  absl::Status Recall(const v1::RecallRequest& request) {
    v1::RecallResponse response;
    return Ask(&MemoryService::Recall, request, &response);
  }

  base::RealClock clock_;
  Metrics metrics_{"test", "test"};
  std::unique_ptr<memory::Memory> memory_;
  std::vector<std::unique_ptr<grpc::CallbackServerContext>> contexts_;
  Limits limits_{&clock_, {}};
  std::unique_ptr<MemoryService> service_;
  std::unique_ptr<Door> door_;
  std::unique_ptr<Executor> executor_;  // First to go: it runs the others.
};

void ExpectInvalid(const absl::Status& status, const std::string& field) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_EQ(base::DetailOf(status).field, field) << status;
}

void ExpectReason(const absl::Status& status, absl::StatusCode code,
                  const std::string& reason) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_EQ(base::DetailOf(status).reason, reason) << status;
}

TEST_F(MemoryServiceTest, WhatWasAppendedIsRecalled) {
  v1::AppendRequest request = TextOf("Caroline adopted a grey cat.");
  v1::AppendResponse appended;
  ASSERT_EQ(Ask(&MemoryService::Append, request, &appended), absl::OkStatus());
  EXPECT_EQ(appended.seq_first(), 0);
  EXPECT_GT(appended.seq_next(), 0);
  EXPECT_TRUE(appended.has_entry());
  EXPECT_GT(appended.passages(), 0);
  v1::RecallRequest query;
  query.set_session(kText);
  query.set_query("Who adopted a cat?");
  v1::RecallResponse recalled;
  ASSERT_EQ(Ask(&MemoryService::Recall, query, &recalled), absl::OkStatus());
  ASSERT_GT(recalled.passages_size(), 0);
  EXPECT_EQ(recalled.passages(0).text(), "Caroline adopted a grey cat.");
  EXPECT_THAT(metrics_.Text({}), HasSubstr("mneme_tokens_appended_total 1\n"));
}

TEST_F(MemoryServiceTest, AttentionHasTheShapeOfTheProfile) {
  ASSERT_EQ(Append(TokensOf(3)), absl::OkStatus());
  v1::AttendResponse response;
  ASSERT_EQ(Ask(&MemoryService::Attend, AttendWith(), &response),
            absl::OkStatus());
  EXPECT_EQ(response.seq_next(), 3);
  ASSERT_EQ(response.outputs_size(), 1);
  EXPECT_EQ(response.outputs(0).layer(), 1);
  EXPECT_THAT(response.outputs(0).output().shape(),
              ::testing::ElementsAre(2, 1, 3));
  EXPECT_THAT(response.outputs(0).lse().shape(), ::testing::ElementsAre(2, 1));
  // Every value is 0.5, so is every mean of values.
  std::vector<float> output(6);
  ASSERT_EQ(response.outputs(0).output().data().size(), 24);
  std::memcpy(output.data(), response.outputs(0).output().data().data(), 24);
  for (const float x : output) EXPECT_NEAR(x, 0.5F, 1e-6F);
}

TEST_F(MemoryServiceTest, AttentionOverNothingIsZerosAndFinite) {
  v1::AttendResponse response;
  ASSERT_EQ(Ask(&MemoryService::Attend, AttendWith(), &response),
            absl::OkStatus());
  float lse = 0;
  ASSERT_EQ(response.outputs(0).lse().data().size(), 8);
  std::memcpy(&lse, response.outputs(0).lse().data().data(), 4);
  EXPECT_EQ(lse, std::numeric_limits<float>::lowest());
  EXPECT_EQ(response.outputs(0).output().data(), std::string(24, '\0'));
}

TEST_F(MemoryServiceTest, ARepeatedRequestIdAppendsOnce) {
  v1::AppendRequest request = TextOf("Once.");
  request.set_request_id("id");
  v1::AppendResponse first;
  v1::AppendResponse second;
  ASSERT_EQ(Ask(&MemoryService::Append, request, &first), absl::OkStatus());
  ASSERT_EQ(Ask(&MemoryService::Append, request, &second), absl::OkStatus());
  EXPECT_FALSE(first.replayed());
  EXPECT_TRUE(second.replayed());
  EXPECT_EQ(second.seq_first(), first.seq_first());
  EXPECT_EQ(second.seq_next(), first.seq_next());
  EXPECT_EQ(second.entry(), first.entry());
}

TEST_F(MemoryServiceTest, AnAppendAtAWrongSeqIsRefused) {
  v1::AppendRequest request = TextOf("First.");
  request.set_expected_seq(7);
  ExpectReason(Append(request), absl::StatusCode::kFailedPrecondition,
               "SEQ_MISMATCH");
}

TEST_F(MemoryServiceTest, TextThatIsNoTextIsRefused) {
  ExpectInvalid(Append(TextOf("")), "text.text");
  ExpectInvalid(Append(TextOf("abc\xff")), "text.text");
  v1::AppendRequest nothing;
  nothing.set_session(kText);
  ExpectInvalid(Append(nothing), "payload");
}

TEST_F(MemoryServiceTest, TheWrongPayloadForASessionIsRefused) {
  v1::AppendRequest text = TextOf("Words.");
  text.set_session(kTokens);
  ExpectReason(Append(text), absl::StatusCode::kFailedPrecondition,
               "WRONG_PAYLOAD");
  v1::AppendRequest tokens = TokensOf(1);
  tokens.set_session(kText);
  ExpectReason(Append(tokens), absl::StatusCode::kFailedPrecondition,
               "WRONG_PAYLOAD");
}

TEST_F(MemoryServiceTest, TokensThatAreNotFiniteAreRefused) {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()}) {
    EXPECT_EQ(Append(TokensOf(1, value)).code(),
              absl::StatusCode::kInvalidArgument);
    ExpectInvalid(Attend(AttendWith(value)), "reads[0].queries.data");
  }
  v1::StatsRequest request;
  request.set_session(kTokens);
  v1::StatsResponse stats;
  ASSERT_EQ(Ask(&MemoryService::Stats, request, &stats), absl::OkStatus());
  EXPECT_EQ(stats.session().tokens(), 0);
}

TEST_F(MemoryServiceTest, TensorsOfAnotherShapeOrTypeAreRefused) {
  v1::AppendRequest tokens = TokensOf(2);
  Fill({2, 1, 2, 5}, 0, tokens.mutable_tokens()->mutable_keys());
  ExpectInvalid(Append(tokens), "tokens.keys.shape");
  tokens = TokensOf(2);
  tokens.mutable_tokens()->mutable_keys()->set_data_type(v1::DATA_TYPE_FLOAT16);
  ExpectInvalid(Append(tokens), "tokens.keys.data");
  v1::AttendRequest attend = AttendWith();
  attend.mutable_reads(0)->set_layer(2);
  ExpectInvalid(Attend(attend), "reads[0].layer");
  attend = AttendWith();
  Fill({3, 1, 4}, 0, attend.mutable_reads(0)->mutable_queries());
  ExpectInvalid(Attend(attend), "reads[0].queries.shape");
}

TEST_F(MemoryServiceTest, NumbersOutOfRangeAreRefused) {
  v1::AttendRequest attend = AttendWith();
  for (const uint32_t k : {0U, 1'000'000'000U}) {
    attend.mutable_selection()->set_top_k(k);
    ExpectInvalid(Attend(attend), "selection.top_k");
  }
  v1::RecallRequest recall;
  recall.set_session(kText);
  recall.set_query("x");
  for (const uint32_t limit : {0U, 1001U}) {
    recall.set_limit(limit);
    ExpectInvalid(Recall(recall), "limit");
  }
  v1::AssembleContextRequest context;
  context.set_session(kText);
  context.set_query("x");
  v1::AssembleContextResponse assembled;
  ExpectInvalid(Ask(&MemoryService::AssembleContext, context, &assembled),
                "budget_tokens");
}

TEST_F(MemoryServiceTest, AQueryWithoutWordsIsRefused) {
  v1::RecallRequest recall;
  recall.set_session(kText);
  for (const char* query : {"", "   \n", "\xff"}) {
    recall.set_query(query);
    ExpectInvalid(Recall(recall), "query");
  }
  recall.set_session(kTokens);
  recall.set_query("words");
  ExpectReason(Recall(recall), absl::StatusCode::kFailedPrecondition,
               "NO_TEXT");
}

TEST_F(MemoryServiceTest, AForgottenEntryIsNotRecalled) {
  v1::AppendResponse appended;
  ASSERT_EQ(Ask(&MemoryService::Append, TextOf("The code is 4711."), &appended),
            absl::OkStatus());
  v1::ForgetRequest forget;
  forget.set_session(kText);
  forget.set_entry(appended.entry());
  v1::ForgetResponse forgotten;
  ASSERT_EQ(Ask(&MemoryService::Forget, forget, &forgotten), absl::OkStatus());
  EXPECT_EQ(forgotten.entries(), 1);
  EXPECT_EQ(forgotten.tokens(), appended.seq_next() - appended.seq_first());
  v1::RecallRequest query;
  query.set_session(kText);
  query.set_query("What is the code?");
  v1::RecallResponse recalled;
  ASSERT_EQ(Ask(&MemoryService::Recall, query, &recalled), absl::OkStatus());
  EXPECT_EQ(recalled.passages_size(), 0);
}

TEST_F(MemoryServiceTest, ForgettingNothingOrTheUnknownIsRefused) {
  v1::ForgetRequest forget;
  v1::ForgetResponse forgotten;
  forget.set_session(kText);
  ExpectInvalid(Ask(&MemoryService::Forget, forget, &forgotten), "target");
  forget.set_source("");
  ExpectInvalid(Ask(&MemoryService::Forget, forget, &forgotten), "source");
  forget.set_entry(99);
  EXPECT_EQ(Ask(&MemoryService::Forget, forget, &forgotten).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(MemoryServiceTest, AContextStaysInItsBudgetAndCitesItsParts) {
  ASSERT_EQ(Append(TextOf("Caroline adopted a grey cat.")), absl::OkStatus());
  v1::AssembleContextRequest request;
  request.set_session(kText);
  request.set_query("Caroline's cat");
  request.set_budget_tokens(100);
  v1::AssembleContextResponse response;
  ASSERT_EQ(Ask(&MemoryService::AssembleContext, request, &response),
            absl::OkStatus());
  EXPECT_THAT(response.context(), HasSubstr("grey cat"));
  EXPECT_LE(response.tokens_used(), 100);
  EXPECT_EQ(response.citations_size(), 1);
}

TEST_F(MemoryServiceTest, EveryMethodSaysThatASessionIsUnknownOrMisnamed) {
  for (const auto& [name, code] :
       {std::pair("namespaces/n/sessions/none", absl::StatusCode::kNotFound),
        {"", absl::StatusCode::kInvalidArgument},
        {"text", absl::StatusCode::kInvalidArgument},
        {"namespaces/N/sessions/s", absl::StatusCode::kInvalidArgument},
        {"namespaces/n/sessions/../s", absl::StatusCode::kInvalidArgument}}) {
    v1::AppendRequest append = TextOf("x");
    append.set_session(name);
    EXPECT_EQ(Append(append).code(), code) << name;
    v1::AttendRequest attend = AttendWith();
    attend.set_session(name);
    EXPECT_EQ(Attend(attend).code(), code) << name;
    v1::RecallRequest recall;
    recall.set_session(name);
    recall.set_query("x");
    EXPECT_EQ(Recall(recall).code(), code) << name;
    v1::AssembleContextRequest context;
    context.set_session(name);
    context.set_query("x");
    context.set_budget_tokens(1);
    v1::AssembleContextResponse assembled;
    EXPECT_EQ(Ask(&MemoryService::AssembleContext, context, &assembled).code(),
              code);
    v1::ForgetRequest forget;
    forget.set_session(name);
    forget.set_entry(1);
    v1::ForgetResponse forgotten;
    EXPECT_EQ(Ask(&MemoryService::Forget, forget, &forgotten).code(), code);
    v1::GetSessionRequest get;
    get.set_session(name);
    v1::GetSessionResponse got;
    EXPECT_EQ(Ask(&MemoryService::GetSession, get, &got).code(), code);
    v1::DeleteSessionRequest remove;
    remove.set_session(name);
    v1::DeleteSessionResponse removed;
    EXPECT_EQ(Ask(&MemoryService::DeleteSession, remove, &removed).code(),
              code);
    v1::GetCompressiveStateRequest state;
    state.set_session(name);
    v1::GetCompressiveStateResponse read;
    EXPECT_EQ(Ask(&MemoryService::GetCompressiveState, state, &read).code(),
              code);
    v1::VerifyRequest verify;
    verify.set_session(name);
    v1::VerifyResponse verified;
    EXPECT_EQ(Ask(&MemoryService::Verify, verify, &verified).code(), code);
    v1::StatsRequest stats;
    stats.set_session(name);
    v1::StatsResponse counted;
    EXPECT_EQ(Ask(&MemoryService::Stats, stats, &counted).code(),
              *name == '\0' ? absl::StatusCode::kOk : code);
  }
}

TEST_F(MemoryServiceTest, ASessionIsCreatedOnceWithAProfile) {
  v1::CreateSessionRequest request;
  request.set_session("namespaces/n/sessions/new");
  ExpectInvalid(Create(request), "geometry");
  request.set_profile_name("none");
  EXPECT_EQ(Create(request).code(), absl::StatusCode::kNotFound);
  *request.mutable_profile() = TokenProfile();
  request.mutable_profile()->set_key_dim(0);
  ExpectInvalid(Create(request), "profile.key_dim");
  request.mutable_profile()->set_key_dim(4);
  EXPECT_EQ(Create(request), absl::OkStatus());
  EXPECT_EQ(Create(request).code(), absl::StatusCode::kAlreadyExists);
  // A live session's profile is what it is.
  request.mutable_profile()->mutable_window()->set_tokens(17);
  const absl::Status changed = Create(request);
  ExpectReason(changed, absl::StatusCode::kAlreadyExists, "SESSION_EXISTS");
  EXPECT_EQ(base::DetailOf(changed).field, "profile.window.tokens");
  EXPECT_THAT(std::string(changed.message()),
              HasSubstr("got 17; the session has 16"));
  request.set_session("new");
  ExpectInvalid(Create(request), "session");
}

TEST_F(MemoryServiceTest, ASessionIsShownWithEveryDefault) {
  v1::GetSessionRequest request;
  request.set_session(kTokens);
  v1::GetSessionResponse response;
  ASSERT_EQ(Ask(&MemoryService::GetSession, request, &response),
            absl::OkStatus());
  EXPECT_EQ(response.session().name(), kTokens);
  EXPECT_EQ(response.session().profile().logit_scale(), 0.5);
  EXPECT_EQ(response.session().profile().kv_heads(), 1);
  EXPECT_GT(response.session().create_time().seconds(), 0);
}

TEST_F(MemoryServiceTest, PagesOfAListJoinWithoutGapsOrRepeats) {
  std::vector<std::string> expected = {kText, kTokens};
  for (const char* id : {"a", "b", "zz"}) {
    v1::CreateSessionRequest create;
    create.set_session(std::string("namespaces/n/sessions/") + id);
    create.set_profile_name("text");
    ASSERT_EQ(Create(create), absl::OkStatus());
    expected.push_back(create.session());
  }
  std::sort(expected.begin(), expected.end());
  for (const int page_size : {1, 2, 5, 0, 5000}) {
    v1::ListSessionsRequest request;
    request.set_parent("namespaces/n");
    request.set_page_size(page_size);
    std::vector<std::string> listed;
    do {
      v1::ListSessionsResponse response;
      ASSERT_EQ(Ask(&MemoryService::ListSessions, request, &response),
                absl::OkStatus());
      for (const v1::Session& session : response.sessions()) {
        listed.push_back(session.name());
      }
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty() &&
             listed.size() < expected.size() + 1);
    EXPECT_EQ(listed, expected) << page_size;
  }
}

TEST_F(MemoryServiceTest, AListOfNowhereIsRefusedOrEmpty) {
  v1::ListSessionsRequest request;
  v1::ListSessionsResponse response;
  ExpectInvalid(Ask(&MemoryService::ListSessions, request, &response),
                "parent");
  request.set_parent("namespaces/n");
  request.set_page_size(-1);
  ExpectInvalid(Ask(&MemoryService::ListSessions, request, &response),
                "page_size");
  request.set_page_size(1);
  request.set_page_token("x");
  ExpectInvalid(Ask(&MemoryService::ListSessions, request, &response),
                "page_token");
  request.Clear();
  request.set_parent("namespaces/nobody");
  EXPECT_EQ(Ask(&MemoryService::ListSessions, request, &response),
            absl::OkStatus());
  EXPECT_EQ(response.sessions_size(), 0);
}

TEST_F(MemoryServiceTest, ADeletedSessionIsGone) {
  v1::DeleteSessionRequest request;
  request.set_session(kText);
  v1::DeleteSessionResponse response;
  ASSERT_EQ(Ask(&MemoryService::DeleteSession, request, &response),
            absl::OkStatus());
  EXPECT_EQ(Append(TextOf("x")).code(), absl::StatusCode::kNotFound);
}

TEST_F(MemoryServiceTest, TheCompressiveStateHasTheShapeOfTheProfile) {
  v1::GetCompressiveStateRequest request;
  v1::GetCompressiveStateResponse response;
  request.set_session(kText);
  ASSERT_EQ(Ask(&MemoryService::GetCompressiveState, request, &response),
            absl::OkStatus());
  EXPECT_THAT(response.matrix().shape(), ::testing::ElementsAre(2, 128, 128));
  EXPECT_THAT(response.normalizer().shape(), ::testing::ElementsAre(2, 128));
  request.set_layer(1);
  EXPECT_EQ(Ask(&MemoryService::GetCompressiveState, request, &response).code(),
            absl::StatusCode::kInvalidArgument);
  request.set_session(kTokens);
  request.set_layer(0);
  ExpectReason(Ask(&MemoryService::GetCompressiveState, request, &response),
               absl::StatusCode::kFailedPrecondition, "NO_COMPRESSIVE_TIER");
}

TEST_F(MemoryServiceTest, AStateThatIsKnownComesWithoutTensors) {
  v1::GetCompressiveStateRequest request;
  v1::GetCompressiveStateResponse response;
  request.set_session(kText);
  ASSERT_EQ(Ask(&MemoryService::GetCompressiveState, request, &response),
            absl::OkStatus());
  EXPECT_NE(response.version(), 0);
  request.set_known_version(response.version());
  response.Clear();
  ASSERT_EQ(Ask(&MemoryService::GetCompressiveState, request, &response),
            absl::OkStatus());
  EXPECT_EQ(response.version(), request.known_version());
  EXPECT_FALSE(response.has_matrix());
}

TEST_F(MemoryServiceTest, ACommittedWindowIsRead) {
  ASSERT_EQ(Append(TokensOf(10)), absl::OkStatus());
  v1::CommitWindowRequest commit;
  commit.set_session(kTokens);
  commit.set_keep_tokens(4);
  v1::CommitWindowResponse committed;
  ASSERT_EQ(Ask(&MemoryService::CommitWindow, commit, &committed),
            absl::OkStatus());
  EXPECT_EQ(committed.committed_tokens(), 6);
  EXPECT_EQ(committed.window_tokens(), 4);
  v1::ReadTokensRequest read;
  read.set_session(kTokens);
  read.add_tiers(v1::TIER_WINDOW);
  read.set_tensors(true);
  v1::ReadTokensResponse tokens;
  ASSERT_EQ(Ask(&MemoryService::ReadTokens, read, &tokens), absl::OkStatus());
  EXPECT_THAT(tokens.seqs(), ::testing::ElementsAre(6, 7, 8, 9));
  EXPECT_THAT(tokens.keys().shape(), ::testing::ElementsAre(1, 4, 4));
  EXPECT_THAT(tokens.values().shape(), ::testing::ElementsAre(1, 4, 3));
  EXPECT_EQ(tokens.keys().data().size(), 4 * 4 * sizeof(float));
  EXPECT_FALSE(tokens.has_next_seq());
  read.set_tiers(0, v1::TIER_COMPRESSIVE);
  ExpectInvalid(Ask(&MemoryService::ReadTokens, read, &tokens), "tiers");
  commit.set_session(kText + std::string("x"));
  EXPECT_EQ(Ask(&MemoryService::CommitWindow, commit, &committed).code(),
            absl::StatusCode::kNotFound);
}

TEST_F(MemoryServiceTest, PresetsAreListedAndShown) {
  v1::ListProfilesResponse all;
  ASSERT_EQ(Ask(&MemoryService::ListProfiles, v1::ListProfilesRequest(), &all),
            absl::OkStatus());
  EXPECT_EQ(all.presets_size(), 12);
  for (const v1::ProfilePreset& preset : all.presets()) {
    v1::GetProfileRequest request;
    request.set_name(preset.profile().name());
    v1::GetProfileResponse one;
    ASSERT_EQ(Ask(&MemoryService::GetProfile, request, &one), absl::OkStatus());
    EXPECT_EQ(one.preset().SerializeAsString(), preset.SerializeAsString());
  }
  v1::GetProfileRequest unknown;
  unknown.set_name("longlama");
  v1::GetProfileResponse none;
  ExpectReason(Ask(&MemoryService::GetProfile, unknown, &none),
               absl::StatusCode::kNotFound, "PROFILE_NOT_FOUND");
}

TEST_F(MemoryServiceTest, GatesOfAnotherShapeOrTierAreRefused) {
  ASSERT_EQ(Append(TokensOf(3)), absl::OkStatus());
  v1::AttendRequest request = AttendWith();
  Fill({2, 2}, 0.5F, request.mutable_reads(0)->mutable_knn_gates());
  ExpectInvalid(Attend(request), "reads[0].knn_gates.shape");
  Fill({2, 1}, 0.5F, request.mutable_reads(0)->mutable_knn_gates());
  ExpectInvalid(Attend(request), "reads.knn_gates");
}

TEST_F(MemoryServiceTest, AFreshSessionVerifies) {
  ASSERT_EQ(Append(TextOf("Sound as a bell.")), absl::OkStatus());
  v1::VerifyRequest request;
  request.set_session(kText);
  v1::VerifyResponse response;
  ASSERT_EQ(Ask(&MemoryService::Verify, request, &response), absl::OkStatus());
  EXPECT_TRUE(response.clean()) << response.DebugString();
  EXPECT_GT(response.checks_size(), 0);
}

TEST_F(MemoryServiceTest, StatsCountTheServerAndTheSessionNamed) {
  v1::StatsRequest request;
  v1::StatsResponse response;
  ASSERT_EQ(Ask(&MemoryService::Stats, request, &response), absl::OkStatus());
  EXPECT_FALSE(response.has_session());
  EXPECT_EQ(response.server().sessions(), 2);
  EXPECT_FALSE(response.server().version().empty());
  EXPECT_FALSE(response.server().kernel_target().empty());
  EXPECT_GT(response.server().resident_bytes(), 0);
  request.set_session(kTokens);
  ASSERT_EQ(Append(TokensOf(5)), absl::OkStatus());
  ASSERT_EQ(Ask(&MemoryService::Stats, request, &response), absl::OkStatus());
  EXPECT_EQ(response.session().tokens(), 5);
}

}  // namespace
}  // namespace mneme::service
