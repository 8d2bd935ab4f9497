#include "client/token_file.h"

#include <string>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"
#include "tests/client/transfer_fixture.h"

namespace mneme::client {
namespace {

std::vector<v1::ExportedTokens> Tokens() {
  std::vector<v1::ExportedTokens> tokens;
  for (const auto& part : testing::TokensExport()) {
    if (part.has_tokens()) tokens.push_back(part.tokens());
  }
  return tokens;
}

std::string FieldOf(Safetensors file) {
  return base::DetailOf(TokenFile::Create(std::move(file)).status()).field;
}

TEST(TokenFile, PartsOfAnySizeComeBack) {
  const Safetensors content = TokenFileOf(Tokens()).value();
  EXPECT_EQ(content.tensors.at("keys").shape,
            (std::vector<int64_t>{2, 1, 20, 3}));
  for (const size_t bytes_max : {1, 40, 100, 1'000, 1'000'000}) {
    TokenFile file = TokenFile::Create(content).value();
    EXPECT_EQ(file.count(), 20u);
    EXPECT_EQ(file.forgotten(), 3u);
    std::vector<v1::ExportedTokens> parts;
    while (!file.done()) parts.push_back(file.Next(bytes_max));
    EXPECT_EQ(parts.size() == 1, bytes_max >= 1'000);
    // Cut otherwise, they are the same tokens.
    EXPECT_EQ(TokenFileOf(parts).value().tensors, content.tensors);
    EXPECT_EQ(TokenFileOf(parts).value().metadata, content.metadata);
  }
}

TEST(TokenFile, OfPartsThatDoNotAgreeIsNotMade) {
  const auto refused = [](auto change) {
    std::vector<v1::ExportedTokens> parts = Tokens();
    change(parts);
    return absl::IsDataLoss(TokenFileOf(parts).status());
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& p) { p[1].set_seq_first(9); }));
  EXPECT_TRUE(refused([](auto& p) { p[0].mutable_rows()->add_positions(1); }));
  EXPECT_TRUE(refused([](auto& p) {
    p[1].mutable_rows()->mutable_keys()->set_shape(0, int64_t{1} << 62);
  }));
  EXPECT_TRUE(refused([](auto& p) {
    p[1].mutable_rows()->mutable_keys()->set_shape(3, 6);
    p[1].mutable_rows()->mutable_keys()->set_shape(2, 6);
  }));
  EXPECT_TRUE(refused([](auto& p) {
    p[0].mutable_rows()->mutable_values()->clear_data_type();
  }));
  EXPECT_TRUE(refused([](auto& p) { p[0].mutable_forgotten(1)->set_end(9); }));
  EXPECT_TRUE(refused([](auto& p) { p[1].add_forgotten()->set_begin(20); }));
}

TEST(TokenFile, ThatDoesNotFitNamesTheTensor) {
  const Safetensors sound = TokenFileOf(Tokens()).value();
  const auto field = [&](auto change) {
    Safetensors file = sound;
    change(file);
    return FieldOf(std::move(file));
  };
  EXPECT_EQ(field([](Safetensors&) {}), "");
  EXPECT_EQ(field([](Safetensors& f) { f.tensors.erase("keys"); }), "keys");
  EXPECT_EQ(field([](Safetensors& f) { f.tensors["keys"].dtype = "I16"; }),
            "keys");
  EXPECT_EQ(field([](Safetensors& f) {
              f.tensors["values"].shape = {2, 1, 10, 4};
            }),
            "values");
  EXPECT_EQ(field([](Safetensors& f) { f.tensors.erase("positions"); }),
            "positions");
  EXPECT_EQ(field([](Safetensors& f) { f.tensors.erase("forgotten"); }),
            "forgotten");
  EXPECT_EQ(field([](Safetensors& f) { f.tensors["forgotten"].data[3] = 2; }),
            "forgotten");
  EXPECT_EQ(field([](Safetensors& f) { f.metadata["seq_first"] = "-1"; }),
            "metadata seq_first");
}

}  // namespace
}  // namespace mneme::client
