#include "service/convert.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "memory/presets.h"
#include "service/convert_tensor.h"

namespace mneme::service {
namespace {

using ::testing::ElementsAre;

memory::Profile SmallProfile() {
  memory::Profile profile;
  profile.layers = 2;
  profile.query_heads = 4;
  profile.kv_heads = 2;
  profile.key_dim = 3;
  profile.value_dim = 5;
  profile.dtype = attention::DType::kF32;
  profile.window = memory::WindowTier{.tokens = 8};
  return memory::Complete(profile).value();
}

void Fill(std::vector<int64_t> shape, v1::Tensor* tensor) {
  size_t count = 1;
  tensor->clear_shape();
  for (const int64_t extent : shape) {
    tensor->add_shape(extent);
    count *= static_cast<size_t>(extent);
  }
  tensor->set_data_type(v1::DATA_TYPE_FLOAT32);
  tensor->set_data(std::string(count * sizeof(float), '\0'));
}

v1::AttendRequest GoodAttend() {
  v1::AttendRequest request;
  v1::LayerRead* read = request.add_reads();
  read->set_layer(1);
  Fill({4, 2, 3}, read->mutable_queries());
  return request;
}

v1::TokenRows GoodTokens() {
  v1::TokenRows tokens;
  Fill({2, 2, 7, 3}, tokens.mutable_keys());
  Fill({2, 2, 7, 5}, tokens.mutable_values());
  return tokens;
}

// What is wrong, and which field is blamed for it.
template <typename Request>
struct Spoiled {
  std::string field;
  std::function<void(Request&)> spoil;
};

template <typename Request, typename Convert>
void ExpectRefused(const Request& good, const Convert& convert,
                   const std::vector<Spoiled<Request>>& cases) {
  EXPECT_TRUE(convert(good).ok()) << convert(good).status();
  for (const auto& c : cases) {
    Request request = good;
    c.spoil(request);
    const auto result = convert(request);
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument)
        << c.field;
    const base::ErrorDetail detail = base::DetailOf(result.status());
    EXPECT_EQ(detail.field, c.field);
    EXPECT_EQ(detail.reason, "INVALID_FIELD");
    EXPECT_TRUE(detail.metadata.contains("given"));
    EXPECT_TRUE(detail.metadata.contains("expected"));
  }
}

TEST(Append, OptionsAreWhatTheRequestSays) {
  v1::AppendRequest request;
  EXPECT_TRUE(AppendOptionsFromProto(request)->sync);
  EXPECT_FALSE(AppendOptionsFromProto(request)->expected_seq);
  request.set_acknowledge(v1::ACKNOWLEDGE_BUFFERED);
  request.set_expected_seq(0);
  request.set_request_id("r");
  const auto options = AppendOptionsFromProto(request);
  EXPECT_FALSE(options->sync);
  EXPECT_EQ(options->expected_seq, 0);
  EXPECT_EQ(options->request_id, "r");
}

TEST(Append, OptionsOutOfRangeAreRefused) {
  ExpectRefused<v1::AppendRequest>(
      {}, AppendOptionsFromProto,
      {{"request_id", [](auto& r) { r.set_request_id(std::string(129, 'x')); }},
       {"acknowledge",
        [](auto& r) { r.set_acknowledge(static_cast<v1::Acknowledge>(9)); }}});
}

TEST(Append, TextKeepsItsTimeToTheMicrosecond) {
  v1::TextEntry text;
  text.set_text("a");
  EXPECT_FALSE(TextEntryFromProto(text)->time_us);
  text.mutable_time()->set_seconds(-1);
  text.mutable_time()->set_nanos(999'999'999);
  EXPECT_EQ(TextEntryFromProto(text)->time_us, -1);
}

TEST(Append, TextOutOfRangeIsRefused) {
  v1::TextEntry good;
  good.set_text("abc");
  good.set_role(std::string(128, 'r'));
  good.set_source(std::string(1024, 's'));
  good.set_source_offset(std::numeric_limits<uint64_t>::max() - 3);
  ExpectRefused<v1::TextEntry>(
      good, TextEntryFromProto,
      {{"text.role", [](auto& t) { t.set_role(std::string(129, 'r')); }},
       {"text.source", [](auto& t) { t.set_source(std::string(1025, 's')); }},
       {"text.source_offset", [](auto& t) { t.set_text("abcd"); }},
       {"text.time", [](auto& t) { t.mutable_time()->set_nanos(-1); }},
       {"text.time", [](auto& t) { t.mutable_time()->set_nanos(1 << 30); }},
       {"text.time",
        [](auto& t) {
          t.mutable_time()->set_seconds(std::numeric_limits<int64_t>::max());
        }},
       {"text.metadata",
        [](auto& t) {
          for (int i = 0; i < 65; ++i) {
            (*t.mutable_metadata())[std::to_string(i)] = "";
          }
        }},
       {"text.metadata", [](auto& t) {
          (*t.mutable_metadata())["k"] = std::string(16 << 10, 'v');
        }}});
}

TEST(Append, TokensBorrowTheRequestsBytes) {
  v1::TokenRows tokens = GoodTokens();
  for (int i = 0; i < 7; ++i) tokens.add_positions(10 * i);
  const auto rows = TokenRowsFromProto(tokens, SmallProfile());
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->count, 7);
  EXPECT_EQ(rows->keys.data(), tokens.keys().data().data());
  EXPECT_EQ(rows->values.size(), 2 * 2 * 7 * 5 * sizeof(float));
  EXPECT_EQ(rows->positions.size(), 7);
  EXPECT_EQ(rows->positions[6], 60);
}

TEST(Append, TokensThatDoNotFitTheProfileAreRefused) {
  const memory::Profile profile = SmallProfile();
  const auto convert = [&](const v1::TokenRows& tokens) {
    return TokenRowsFromProto(tokens, profile);
  };
  ExpectRefused<v1::TokenRows>(
      GoodTokens(), convert,
      {{"tokens.keys.data_type", [](auto& t) { t.clear_keys(); }},
       {"tokens.keys.shape",
        [](auto& t) {
          Fill({2, 2, 7, 4}, t.mutable_keys());
        }},
       {"tokens.keys.shape",
        [](auto& t) {
          Fill({1, 2, 7, 3}, t.mutable_keys());
        }},
       {"tokens.values.shape",
        [](auto& t) {
          Fill({2, 2, 6, 5}, t.mutable_values());
        }},
       {"tokens.keys.data",
        [](auto& t) { t.mutable_keys()->mutable_data()->pop_back(); }},
       {"tokens.keys.data_type",
        [](auto& t) {
          t.mutable_keys()->set_data_type(v1::DATA_TYPE_FLOAT16);
          t.mutable_keys()->mutable_data()->resize(2 * 2 * 7 * 3 * 2);
        }},
       {"tokens.positions", [](auto& t) { t.add_positions(1); }},
       {"tokens.positions[0]",
        [](auto& t) {
          for (int i = 0; i < 7; ++i) t.add_positions(i - 1);
        }},
       {"tokens.positions[6]", [](auto& t) {
          for (int64_t i = 0; i < 7; ++i) {
            t.add_positions(memory::kPositionMax - 5 + i);
          }
        }}});
}

TEST(Append, TokensForASessionOfTextAreTheWrongPayload) {
  const auto rows =
      TokenRowsFromProto(GoodTokens(), memory::ProfileByName("text").value());
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(base::DetailOf(rows.status()).reason, "WRONG_PAYLOAD");
}

TEST(Attend, SelectionMeansWhatItSays) {
  const memory::Profile profile = SmallProfile();
  v1::AttendRequest request = GoodAttend();
  EXPECT_FALSE(AttendQueryFromProto(request, profile)->top_k);
  request.mutable_selection()->set_exhaustive(true);
  EXPECT_EQ(AttendQueryFromProto(request, profile)->top_k, 0);
  request.mutable_selection()->set_top_k(memory::kTopKMax);
  EXPECT_EQ(AttendQueryFromProto(request, profile)->top_k, memory::kTopKMax);
}

TEST(Attend, TiersAndRowsAreTaken) {
  v1::AttendRequest request = GoodAttend();
  request.add_tiers(v1::TIER_KNN);
  request.add_tiers(v1::TIER_SINK);
  request.mutable_reads(0)->add_positions(5);
  request.mutable_reads(0)->add_positions(3);
  const auto query = AttendQueryFromProto(request, SmallProfile());
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_THAT(query->tiers,
              ElementsAre(memory::Tier::kKnn, memory::Tier::kSink));
  ASSERT_EQ(query->reads.size(), 1);
  EXPECT_EQ(query->reads[0].rows, 2);
  EXPECT_EQ(query->reads[0].queries.size(), 4 * 2 * 3);
  EXPECT_THAT(query->reads[0].positions, ElementsAre(5, 3));
}

TEST(Attend, WhatTheProfileDoesNotAllowIsRefused) {
  const memory::Profile profile = SmallProfile();
  const auto convert = [&](const v1::AttendRequest& request) {
    return AttendQueryFromProto(request, profile);
  };
  ExpectRefused<v1::AttendRequest>(
      GoodAttend(), convert,
      {{"reads", [](auto& r) { r.clear_reads(); }},
       {"reads[0].layer", [](auto& r) { r.mutable_reads(0)->set_layer(2); }},
       {"reads[0].queries.data_type",
        [](auto& r) { r.mutable_reads(0)->clear_queries(); }},
       {"reads[0].queries.shape",
        [](auto& r) {
          Fill({4, 2, 4}, r.mutable_reads(0)->mutable_queries());
        }},
       {"reads[0].queries.data",
        [](auto& r) {
          const float nan = std::numeric_limits<float>::quiet_NaN();
          r.mutable_reads(0)->mutable_queries()->mutable_data()->replace(
              40, 4, reinterpret_cast<const char*>(&nan), 4);
        }},
       {"reads[0].positions",
        [](auto& r) { r.mutable_reads(0)->add_positions(1); }},
       {"reads[0].positions[1]",
        [](auto& r) {
          r.mutable_reads(0)->add_positions(1);
          r.mutable_reads(0)->add_positions(-1);
        }},
       {"selection", [](auto& r) { r.mutable_selection(); }},
       {"selection.top_k",
        [](auto& r) { r.mutable_selection()->set_top_k(0); }},
       {"selection.top_k",
        [](auto& r) { r.mutable_selection()->set_top_k(1'000'000'000); }},
       {"selection.exhaustive",
        [](auto& r) { r.mutable_selection()->set_exhaustive(false); }},
       {"tiers[0]", [](auto& r) { r.add_tiers(v1::TIER_UNSPECIFIED); }},
       {"tiers[0]", [](auto& r) { r.add_tiers(static_cast<v1::Tier>(9)); }},
       {"tiers[1]",
        [](auto& r) {
          r.add_tiers(v1::TIER_KNN);
          r.add_tiers(v1::TIER_KNN);
        }},
       {"top_items", [](auto& r) { r.set_top_items(65); }}});
}

TEST(Attend, AnAnswerLargerThanAMessageIsRefusedBeforeItIsComputed) {
  // Queries of 4 bytes a row that ask for 4 KiB a row.
  memory::Profile profile = SmallProfile();
  profile.query_heads = profile.kv_heads = 1;
  profile.key_dim = 1;
  profile.value_dim = 1024;
  v1::AttendRequest request;
  Fill({1, 16 << 10, 1}, request.add_reads()->mutable_queries());
  const auto query = AttendQueryFromProto(request, profile);
  EXPECT_EQ(base::DetailOf(query.status()).field, "reads");
}

TEST(Attend, ARowThatSawNothingHoldsTheLowestFiniteNumber) {
  memory::Profile profile = SmallProfile();
  profile.query_heads = profile.kv_heads = 1;
  profile.value_dim = 1;
  memory::AttendResult result;
  result.seq_next = 9;
  result.outputs.push_back(
      {.layer = 1,
       .output = {0, 2},
       .lse = {-std::numeric_limits<float>::infinity(), 1.5F},
       .shares = {0, 0.75, 0, 0.25},
       .items = {{.head = 0,
                  .row = 1,
                  .seq = 4,
                  .position = 6,
                  .share = 0.5,
                  .tier = memory::Tier::kWindow}}});
  v1::AttendResponse response;
  SetAttendResult(result, profile, &response);
  EXPECT_EQ(response.seq_next(), 9);
  const v1::LayerOutput& output = response.outputs(0);
  EXPECT_THAT(output.output().shape(), ElementsAre(1, 2, 1));
  EXPECT_THAT(output.lse().shape(), ElementsAre(1, 2));
  EXPECT_THAT(FloatsOf(output.lse(), "lse", attention::DType::kF32).value(),
              ElementsAre(std::numeric_limits<float>::lowest(), 1.5F));
  ASSERT_EQ(output.tiers_size(), 2);
  EXPECT_EQ(output.tiers(0).tier(), v1::TIER_WINDOW);
  EXPECT_EQ(output.tiers(1).tier(), v1::TIER_COMPRESSIVE);
  EXPECT_EQ(output.tiers(1).share(), 0.25);
  EXPECT_EQ(output.items(0).seq(), 4);
  EXPECT_EQ(output.items(0).tier(), v1::TIER_WINDOW);
}

TEST(Attend, AGatedOutputHasNoLse) {
  memory::Profile profile = SmallProfile();
  profile.query_heads = profile.kv_heads = 1;
  profile.value_dim = 1;
  memory::AttendResult result;
  result.outputs.push_back(
      {.output = {1}, .lse = {0}, .gated = true, .items = {}});
  v1::AttendResponse response;
  SetAttendResult(result, profile, &response);
  EXPECT_TRUE(response.outputs(0).has_output());
  EXPECT_FALSE(response.outputs(0).has_lse());
}

TEST(Recall, AbsentLimitIsTheDefault) {
  v1::RecallRequest request;
  request.set_query("x");
  EXPECT_EQ(RecallQueryFromProto(request)->limit, memory::kRecallLimitDefault);
  request.set_limit(1000);
  EXPECT_EQ(RecallQueryFromProto(request)->limit, 1000);
}

TEST(Recall, OutOfRangeIsRefused) {
  v1::RecallRequest good;
  good.set_query("x");
  ExpectRefused<v1::RecallRequest>(
      good, RecallQueryFromProto,
      {{"query", [](auto& r) { r.clear_query(); }},
       {"query", [](auto& r) { r.set_query("ab\xff"); }},
       {"query",
        [](auto& r) { r.set_query(std::string((64 << 10) + 1, 'q')); }},
       {"limit", [](auto& r) { r.set_limit(0); }},
       {"limit", [](auto& r) { r.set_limit(1001); }},
       {"limit", [](auto& r) { r.set_limit(1'000'000'000); }},
       {"filter.source",
        [](auto& r) {
          r.mutable_filter()->set_source(std::string(1025, 's'));
        }},
       {"filter.role",
        [](auto& r) { r.mutable_filter()->set_role(std::string(129, 'r')); }}});
}

TEST(Recall, AnInvalidByteIsAnsweredWithItsOffset) {
  v1::RecallRequest request;
  request.set_query("abc\xc0\x80");
  EXPECT_EQ(base::DetailOf(RecallQueryFromProto(request).status())
                .metadata.at("given"),
            "an invalid byte at offset 3");
}

TEST(Recall, APassageArrivesWhole) {
  memory::RecallResult result;
  result.seq_next = 12;
  result.passages.push_back({.text = "words",
                             .entry = 3,
                             .span = {2, 7},
                             .source = "s",
                             .source_span = {12, 17},
                             .seq_first = 4,
                             .tokens = 2,
                             .role = "user",
                             .time_us = -1,
                             .metadata = {{"k", "v"}},
                             .tier = memory::Tier::kWindow,
                             .share = 0.5,
                             .score = -1.5,
                             .heads = {{"lexical", 0.25}},
                             .matches = {{0, 5}}});
  v1::RecallResponse response;
  SetRecallResult(result, &response);
  const v1::Passage& passage = response.passages(0);
  EXPECT_EQ(passage.text(), "words");
  EXPECT_EQ(passage.entry(), 3);
  EXPECT_EQ(passage.span().begin(), 2);
  EXPECT_EQ(passage.source_span().end(), 17);
  EXPECT_EQ(passage.seq_first(), 4);
  EXPECT_EQ(passage.tokens(), 2);
  EXPECT_EQ(passage.time().seconds(), -1);
  EXPECT_EQ(passage.time().nanos(), 999'999'000);
  EXPECT_EQ(passage.metadata().at("k"), "v");
  EXPECT_EQ(passage.tier(), v1::TIER_WINDOW);
  EXPECT_EQ(passage.score(), -1.5);
  EXPECT_EQ(passage.heads(0).head(), "lexical");
  EXPECT_EQ(passage.matches(0).end(), 5);
  EXPECT_EQ(response.seq_next(), 12);
}

TEST(AssembleContext, OutOfRangeIsRefused) {
  v1::AssembleContextRequest good;
  good.set_query("x");
  good.set_budget_tokens(1);
  ExpectRefused<v1::AssembleContextRequest>(
      good, ContextQueryFromProto,
      {{"query", [](auto& r) { r.clear_query(); }},
       {"budget_tokens", [](auto& r) { r.set_budget_tokens(0); }},
       {"budget_tokens", [](auto& r) { r.set_budget_tokens(1'000'001); }},
       {"recent_entries", [](auto& r) { r.set_recent_entries(1001); }}});
}

TEST(CompressiveState, LargerThanAMessageIsRefused) {
  memory::Profile profile = SmallProfile();
  profile.compressive = memory::CompressiveTier{.segment_tokens = 8};
  EXPECT_TRUE(CheckCompressiveFits(profile).ok());
  profile.kv_heads = profile.key_dim = profile.value_dim = 1024;
  EXPECT_EQ(base::DetailOf(CheckCompressiveFits(profile)).reason,
            "STATE_TOO_LARGE");
}

TEST(Verify, IsCleanOnlyWhenEveryCheckIs) {
  v1::VerifyResponse clean;
  SetChecks({{.name = "records", .ok = true, .checked = 5}}, &clean);
  EXPECT_TRUE(clean.clean());
  v1::VerifyResponse dirty;
  SetChecks({{.name = "records", .ok = false}, {.name = "text", .ok = true}},
            &dirty);
  EXPECT_FALSE(dirty.clean());
  EXPECT_EQ(dirty.checks_size(), 2);
}

}  // namespace
}  // namespace mneme::service
