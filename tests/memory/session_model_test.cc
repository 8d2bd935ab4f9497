#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "memory/session.h"
#include "memory/text/encoder.h"
#include "tests/memory/fixture.h"
#include "tests/reference/attention.h"

namespace mneme::memory {
namespace {

using testing::Random;
using testing::Seed;

constexpr double kUnit = 0x1p-24;

// One token: what a plain vector remembers of it.
struct ModelRow {
  std::vector<std::vector<float>> keys;    // [banks]
  std::vector<std::vector<float>> values;  // [banks]
  int64_t position = 0;
  bool forgotten = false;
};

// Every visible row of one bank, in double.
void ExpectAttends(const Profile& profile, const std::vector<ModelRow>& rows,
                   const LayerRead& read, const LayerOutput& output) {
  for (uint32_t head = 0; head < profile.query_heads; ++head) {
    const size_t bank =
        read.layer * profile.kv_heads + head / profile.group_size();
    for (size_t r = 0; r < read.rows; ++r) {
      const size_t row = head * read.rows + r;
      const float* query = &read.queries[row * profile.key_dim];
      std::vector<float> logits;
      std::vector<float> values;
      double logit_error = 0;
      for (const ModelRow& token : rows) {
        if (token.forgotten || token.position > read.positions[r]) continue;
        const float* key = token.keys[bank].data();
        const double logit =
            profile.logit_scale * reference::Dot(query, key, profile.key_dim);
        logits.push_back(static_cast<float>(logit));
        // The sum's roundings, the scale's, and that of the line above.
        logit_error = std::max(
            logit_error, kUnit * ((profile.key_dim + 4) * profile.logit_scale *
                                      reference::DotOfMagnitudes(
                                          query, key, profile.key_dim) +
                                  std::abs(logit)));
        values.insert(values.end(), token.values[bank].begin(),
                      token.values[bank].end());
      }
      const reference::Attended expected = reference::Attend(
          logits.data(), values.data(), logits.size(), profile.value_dim);
      if (logits.empty()) {
        ASSERT_EQ(output.lse[row], expected.lse);
        continue;
      }
      ASSERT_NEAR(output.lse[row], expected.lse,
                  logit_error + (128 + 8 + 4 * std::abs(expected.lse)) * kUnit);
      for (size_t i = 0; i < profile.value_dim; ++i) {
        // Twice: a weight is its own exponential over the sum of all.
        ASSERT_NEAR(
            output.output[row * profile.value_dim + i], expected.out[i],
            2 * (2 * logit_error + (128 + 24) * kUnit) * expected.magnitude[i])
            << "of " << logits.size() << " keys";
      }
    }
  }
}

AttendQuery ExhaustiveQuery(const Profile& profile, int64_t position_next,
                            Random& random) {
  AttendQuery query = RandomQuery(profile, 2, random);
  query.top_k = 0;
  query.tiers = {Tier::kWindow, Tier::kKnn};
  for (LayerRead& read : query.reads) {
    read.positions = {position_next, random.Int(0, position_next)};
  }
  return query;
}

TEST(SessionModel, TokensBehaveAsAPlainVector) {
  Random random(Seed());
  Profile profile = SmallProfile();
  profile.dtype = attention::DType::kBF16;
  profile.sink = SinkTier{.tokens = 0};
  House house;
  auto session = house.Create("s", profile);
  std::vector<ModelRow> model;
  int64_t position_next = 0;
  for (int round = 0; round < 250; ++round) {
    SCOPED_TRACE(round);
    const int64_t dice = random.Int(0, 9);
    if (dice < 5) {
      Tokens tokens = RandomTokens(
          profile, random.Int(0, 4) == 0 ? random.Int(100, 300) : 1, random);
      const bool gaps = random.Int(0, 1);
      for (uint64_t i = 0; gaps && i < tokens.count; ++i) {
        position_next += random.Int(0, 9);
        tokens.positions.push_back(position_next++);
      }
      const auto keys = Widen(profile.dtype, tokens.keys);
      const auto values = Widen(profile.dtype, tokens.values);
      for (uint64_t i = 0; i < tokens.count; ++i) {
        ModelRow row;
        row.position = gaps ? tokens.positions[i] : position_next++;
        for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
          const size_t at = bank * tokens.count + i;
          row.keys.emplace_back(keys.begin() + at * profile.key_dim,
                                keys.begin() + (at + 1) * profile.key_dim);
          row.values.emplace_back(
              values.begin() + at * profile.value_dim,
              values.begin() + (at + 1) * profile.value_dim);
        }
        model.push_back(std::move(row));
      }
      AppendOptions options = AtSeq(model.size() - tokens.count);
      options.sync = random.Int(0, 1);
      const auto appended = session->AppendTokens(tokens.Rows(), options);
      ASSERT_TRUE(appended.ok()) << appended.status();
      ASSERT_EQ(appended->position_next, position_next);
    } else if (dice < 6) {
      session = house.Reopened("s");
    } else {
      const AttendQuery query = ExhaustiveQuery(profile, position_next, random);
      const auto result = session->Attend(query, Never);
      ASSERT_TRUE(result.ok()) << result.status();
      for (size_t l = 0; l < query.reads.size(); ++l) {
        ExpectAttends(profile, model, query.reads[l], result->outputs[l]);
      }
    }
    ASSERT_EQ(session->Info().seq_next, model.size());
    ASSERT_EQ(session->Info().position_next, position_next);
    if (HasFailure()) return;
  }
  ExpectSound(*session);
}

TEST(SessionModel, TextBehavesAsAPlainListOfSentences) {
  Random random(Seed());
  Profile profile = ProfileByName("text").value();
  profile.window->tokens = 9;
  profile.compressive->segment_tokens = 7;
  House house;
  auto session = house.Create("s", profile);
  const HashEncoder encoder;
  std::vector<ModelRow> model;
  std::vector<std::string> words;
  const auto live = [&] {
    std::vector<uint64_t> seqs;
    for (uint64_t seq = 0; seq < model.size(); ++seq) {
      if (!model[seq].forgotten) seqs.push_back(seq);
    }
    return seqs;
  };
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE(round);
    const int64_t dice = random.Int(0, 9);
    const std::vector<uint64_t> there = live();
    const auto any = [&] {
      return there[random.Int(0, static_cast<int64_t>(there.size()) - 1)];
    };
    if (dice < 5 || there.empty()) {
      // A word of its own, and one sentence, which is one row.
      words.push_back("w" + std::to_string(model.size()) + "x");
      const std::string text = words.back() + " among others";
      std::vector<float> keys(encoder.heads() * encoder.dim());
      encoder.Encode(text, keys);
      keys = Widen(profile.dtype, Narrow(profile.dtype, keys));
      ModelRow row;
      row.position = static_cast<int64_t>(model.size());
      for (size_t bank = 0; bank < profile.bank_count(); ++bank) {
        row.keys.emplace_back(keys.begin() + bank * profile.key_dim,
                              keys.begin() + (bank + 1) * profile.key_dim);
        row.values.push_back(row.keys.back());
      }
      model.push_back(std::move(row));
      const auto appended = Say(*session, text);
      ASSERT_TRUE(appended.ok()) << appended.status();
      ASSERT_EQ(appended->seq_next, model.size());
      ASSERT_EQ(appended->entry, model.size());
    } else if (dice == 5) {
      const uint64_t seq = any();
      ASSERT_TRUE(session->Forget(ByEntry(seq + 1)).ok());
      model[seq].forgotten = true;
    } else if (dice == 6) {
      session = house.Reopened("s");
    } else if (dice == 7) {
      const uint64_t seq = any();
      const auto result = session->Recall(Ask(words[seq]), Never);
      ASSERT_TRUE(result.ok()) << result.status();
      ASSERT_FALSE(result->passages.empty());
      ASSERT_EQ(result->passages[0].seq_first, seq);
      for (const RecalledPassage& passage : result->passages) {
        ASSERT_FALSE(model[passage.seq_first].forgotten);
      }
    } else {
      const AttendQuery query =
          ExhaustiveQuery(profile, static_cast<int64_t>(model.size()), random);
      const auto result = session->Attend(query, Never);
      ASSERT_TRUE(result.ok()) << result.status();
      ExpectAttends(profile, model, query.reads[0], result->outputs[0]);
    }
    ASSERT_EQ(session->Info().entries, live().size());
    if (HasFailure()) return;
  }
  ExpectSound(*session);
}

}  // namespace
}  // namespace mneme::memory
