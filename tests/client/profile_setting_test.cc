#include "client/profile_setting.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>

#include "base/error.h"
#include "gmock/gmock.h"

namespace mneme::client {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Settings = std::vector<std::string>;

v1::Profile Parsed(const std::string& text) {
  v1::Profile profile;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &profile));
  return profile;
}

std::string Text(const v1::Profile& profile) {
  return profile.ShortDebugString();
}

absl::StatusOr<v1::ProfilePreset> Nobody(const std::string& name) {
  ADD_FAILURE() << "asked for preset " << name;
  return absl::InternalError("");
}

// `settings` over a profile without a preset.
absl::StatusOr<v1::Profile> Set(const Settings& settings) {
  return WithSettings({}, settings, Nobody);
}

// `settings` over the preset `settings_of_preset`.
absl::StatusOr<v1::Profile> SetOver(const std::string& settings_of_preset,
                                    const Settings& settings) {
  v1::Profile profile;
  profile.set_preset("p");
  return WithSettings(
      profile, settings,
      [&](const std::string& name) -> absl::StatusOr<v1::ProfilePreset> {
        EXPECT_EQ(name, "p");
        v1::ProfilePreset preset;
        *preset.mutable_profile() = Parsed(settings_of_preset);
        return preset;
      });
}

void ExpectRefused(const std::string& setting, const std::string& field,
                   const std::string& given, const std::string& expected) {
  const absl::Status status = Set({setting}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << setting << ": " << status;
  const base::ErrorDetail detail = base::DetailOf(status);
  EXPECT_EQ(detail.field, field);
  EXPECT_EQ(detail.metadata.at("given"), given);
  EXPECT_THAT(detail.metadata.at("expected"), HasSubstr(expected));
}

TEST(WithSettings, SetsEveryKindOfField) {
  const auto profile =
      Set({"name=mine", "layers=2", "logit_scale=1e-3", "head_scales=1.5, 2",
           "window.tokens=128", "knn.max_tokens=18446744073709551615",
           "knn.positions.distance=9007199254740992",
           "position.yarn.truncate=false", "position.yarn.factor=32",
           "compressive.gate_logits=-2.2", "compressive.performer.seed=7"});
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Text(*profile), Text(Parsed(R"(
    name: "mine" layers: 2 logit_scale: 1e-3 head_scales: [1.5, 2]
    window { tokens: 128 }
    knn {
      max_tokens: 18446744073709551615
      positions { distance: 9007199254740992 }
    }
    position { yarn { truncate: false factor: 32 } }
    compressive { gate_logits: -2.2 performer { seed: 7 } })")));
}

TEST(WithSettings, TakesEnumsWithoutTheirPrefixAndInAnyCase) {
  for (const char* word : {"const", "CONST", "Const", "POSITION_POLICY_CONST",
                           "position_policy_const"}) {
    const auto profile = Set({std::string("knn.positions.policy=") + word});
    ASSERT_TRUE(profile.ok()) << profile.status();
    EXPECT_EQ(profile->knn().positions().policy(), v1::POSITION_POLICY_CONST);
  }
  EXPECT_EQ(Set({"data_type=bfloat16"})->data_type(), v1::DATA_TYPE_BFLOAT16);
  EXPECT_EQ(Set({"normalization=l2"})->normalization(), v1::NORMALIZATION_L2);
}

// A value that a field of this kind takes.
std::string SampleOf(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return WordOf(*field.enum_type()->value(1));
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true";
    case FieldDescriptor::CPPTYPE_STRING:
      return "word";
    default:
      return field.is_repeated() ? "3,4" : "3";
  }
}

void ExpectEverySettingBelow(const Descriptor& type,
                             const std::string& prefix) {
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const std::string path = prefix + field.name();
    if (path == "preset") continue;
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      ExpectEverySettingBelow(*field.message_type(), path + ".");
      continue;
    }
    const std::string setting = path + "=" + SampleOf(field);
    const auto profile = Set({setting});
    ASSERT_TRUE(profile.ok()) << profile.status();
    EXPECT_NE(Text(*profile), "") << setting;
    const auto cleared = Set({setting, path + "="});
    ASSERT_TRUE(cleared.ok()) << cleared.status();
    EXPECT_NE(Text(*cleared), Text(*profile)) << setting;
  }
}

TEST(WithSettings, EverySettingOfAProfileCanBeSetAndTakenAway) {
  ExpectEverySettingBelow(*v1::Profile::descriptor(), "");
}

TEST(WithSettings, ALaterSettingWins) {
  EXPECT_EQ(Set({"layers=2", "layers=3"})->layers(), 3);
  EXPECT_THAT(Set({"head_scales=1,2", "head_scales=3"})->head_scales(),
              ElementsAre(3));
}

TEST(WithSettings, WhatIsTakenAwayBringsNothingAbout) {
  EXPECT_EQ(Text(*Set({"knn.gate_logits=", "position.yarn="})), "");
}

TEST(WithSettings, ABadPathIsRefusedWithTheNearestOne) {
  ExpectRefused("windw.tokens=1", "--set", "\"windw.tokens\"",
                "(did you mean \"window\"?)");
  ExpectRefused("knn.topk=64", "--set", "\"knn.topk\"",
                "one of knn.top_k, knn.positions, knn.data_type, "
                "knn.chunk_tokens, knn.chunk_score, knn.scope, "
                "knn.max_tokens, knn.gate_logits, knn.empty_memory "
                "(did you mean \"knn.top_k\"?)");
  // Right, but somewhere else.
  ExpectRefused("top_k=64", "--set", "\"top_k\"",
                "(did you mean \"knn.top_k\"?)");
  ExpectRefused("yarn.factor=2", "--set", "\"yarn.factor\"",
                "(did you mean \"position.yarn\"?)");
  ExpectRefused("key_dim.x=1", "--set", "\"key_dim.x\"",
                "key_dim, which has no settings of its own");
  ExpectRefused("window..tokens=1", "--set", "\"window..tokens\"",
                "one of window.tokens, window.commit");
  ExpectRefused("preset=fot", "--set", "\"preset\"", "one of name, layers");
}

TEST(WithSettings, WhatIsNoSettingIsRefused) {
  ExpectRefused("key_dim", "--set", "\"key_dim\"", "PATH=VALUE");
  ExpectRefused("=64", "--set", "\"=64\"", "PATH=VALUE");
  ExpectRefused("", "--set", "\"\"", "PATH=VALUE");
  ExpectRefused(std::string("\0=1", 3), "--set", "\"\\x00\"", "one of name");
}

TEST(WithSettings, AValueOfTheWrongKindIsRefused) {
  ExpectRefused("window.tokens=many", "--set window.tokens", "\"many\"",
                "a whole number, 0 to 4294967295");
  ExpectRefused("window.tokens=-1", "--set window.tokens", "\"-1\"",
                "a whole number, 0 to 4294967295");
  ExpectRefused("window.tokens=4294967296", "--set window.tokens",
                "\"4294967296\"", "a whole number");
  ExpectRefused("window.tokens=1.5", "--set window.tokens", "\"1.5\"",
                "a whole number");
  ExpectRefused("knn.positions.distance=1e3", "--set knn.positions.distance",
                "\"1e3\"", "a whole number, -9223372036854775808 to");
  ExpectRefused("logit_scale=nan", "--set logit_scale", "\"nan\"",
                "a finite number");
  ExpectRefused("logit_scale=1e999", "--set logit_scale", "\"1e999\"",
                "a finite number");
  ExpectRefused("head_scales=1,,2", "--set head_scales", "\"\"",
                "a finite number");
  ExpectRefused("head_scales=1,1e39", "--set head_scales", "\"1e39\"",
                "a finite number");
  ExpectRefused("position.yarn.truncate=maybe", "--set position.yarn.truncate",
                "\"maybe\"", "true or false");
  ExpectRefused("knn=64", "--set knn", "\"64\"",
                "nothing, or one of knn.top_k, knn.positions");
}

TEST(WithSettings, AnUnknownEnumValueIsRefusedWithTheNearestOne) {
  ExpectRefused("knn.positions.policy=Cosnt", "--set knn.positions.policy",
                "\"Cosnt\"",
                "one of absolute, const, none, clamp, local_origin, cache_rank "
                "(did you mean \"const\"?)");
  ExpectRefused("window.commit=unspecified", "--set window.commit",
                "\"unspecified\"", "one of token, block, segment, dump, step");
  ExpectRefused("window.commit=1", "--set window.commit", "\"1\"", "one of");
}

TEST(WithSettings, OverAPresetKeepTheOtherSettingsOfTheirMessage) {
  const auto profile = SetOver(
      R"(key_dim: 128 logit_scale: 0.1
         window { tokens: 1 commit: COMMIT_POLICY_BLOCK block_tokens: 2048 }
         knn { top_k: 128 positions { policy: POSITION_POLICY_NONE } })",
      {"window.block_tokens=64"});
  ASSERT_TRUE(profile.ok()) << profile.status();
  // What is not touched is left to the server.
  EXPECT_EQ(Text(*profile), Text(Parsed(R"(
    preset: "p"
    window { tokens: 1 commit: COMMIT_POLICY_BLOCK block_tokens: 64 })")));
}

TEST(WithSettings, OverAPresetCanAddATierAndEmptyAList) {
  const auto profile = SetOver("knn { top_k: 32 gate_logits: 0 }",
                               {"knn.gate_logits=", "sink.tokens=4"});
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(
      Text(*profile),
      Text(Parsed(R"(preset: "p" knn { top_k: 32 } sink { tokens: 4 })")));
}

TEST(WithSettings, OverAPresetWithoutTiersAskForNone) {
  v1::Profile profile;
  profile.set_preset("p");
  const auto set =
      WithSettings(profile, {"key_dim=64", "head_scales=1"}, Nobody);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(Text(*set),
            Text(Parsed(R"(preset: "p" key_dim: 64 head_scales: 1)")));
}

TEST(WithSettings, OverATierOfTheCallersOwnThePresetHasNoSay) {
  const auto set =
      WithSettings(Parsed(R"(preset: "p" knn { chunk_tokens: 4 })"),
                   {"knn.top_k=8"}, Nobody);
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_EQ(Text(*set),
            Text(Parsed(R"(preset: "p" knn { chunk_tokens: 4 top_k: 8 })")));
}

// A session with the factor of one model and the temperature of another reads
// the wrong attention, and nothing says so.
TEST(WithSettings, WhatTheServerDerivedFromThePresetIsNotKept) {
  const std::string yarn =
      R"(key_dim: 128 position {
           family: POSITION_FAMILY_YARN theta: 1e4 rotary_dim: 128
           yarn { factor: 16 original_length: 4096 attention_factor: 1.27 } })";
  const auto profile = SetOver(yarn, {"key_dim=64", "position.yarn.factor=32"});
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Text(*profile), Text(Parsed(R"(
    preset: "p" key_dim: 64 position {
      family: POSITION_FAMILY_YARN theta: 1e4
      yarn { factor: 32 original_length: 4096 } })")));
  EXPECT_EQ(SetOver(yarn, {"position.theta=5e5"})
                ->position()
                .yarn()
                .attention_factor(),
            1.27);
  EXPECT_EQ(SetOver(yarn, {"position.yarn.factor=32",
                           "position.yarn.attention_factor=1.5"})
                ->position()
                .yarn()
                .attention_factor(),
            1.5);
  // A part of the key that the method rotates is the method's.
  EXPECT_EQ(SetOver("key_dim: 128 position { family: POSITION_FAMILY_ROPE "
                    "rotary_dim: 32 }",
                    {"position.theta=5e5"})
                ->position()
                .rotary_dim(),
            32);
  EXPECT_FALSE(SetOver("position { long_rope { attention_factor: 1.2 } }",
                       {"position.long_rope.max_position=8192"})
                   ->position()
                   .long_rope()
                   .has_attention_factor());
}

TEST(WithSettings, WhatLosesItsMeaningGoesUnlessItIsNamed) {
  const std::string preset =
      R"(key_dim: 128
         position { family: POSITION_FAMILY_YARN theta: 1e4 yarn { factor: 2 } }
         window {
           tokens: 1 commit: COMMIT_POLICY_BLOCK block_tokens: 128
           positions { policy: POSITION_POLICY_CLAMP distance: 9 }
         }
         knn {
           chunk_tokens: 4 chunk_score: CHUNK_SCORE_MEAN_KEY gate_logits: 0
           empty_memory: EMPTY_MEMORY_STRICT
           positions { policy: POSITION_POLICY_CONST distance: 4096 }
         })";
  const auto profile =
      SetOver(preset, {"position.family=rope", "window.commit=step",
                       "knn.positions.policy=absolute", "knn.chunk_tokens=1",
                       "knn.gate_logits="});
  ASSERT_TRUE(profile.ok()) << profile.status();
  EXPECT_EQ(Text(*profile), Text(Parsed(R"(
    preset: "p" position { family: POSITION_FAMILY_ROPE theta: 1e4 }
    window {
      tokens: 1 commit: COMMIT_POLICY_STEP
      positions { policy: POSITION_POLICY_CLAMP distance: 9 }
    }
    knn { chunk_tokens: 1 positions { policy: POSITION_POLICY_ABSOLUTE } })")));
  EXPECT_EQ(Text(*SetOver(preset, {"position.family=alibi"})),
            Text(Parsed(
                R"(preset: "p" position { family: POSITION_FAMILY_ALIBI })")));
  EXPECT_FALSE(SetOver(preset, {"window.commit=segment"})->window().tokens() >
               0);
  // What was asked for is the server's to refuse.
  EXPECT_EQ(SetOver(preset, {"knn.positions.policy=absolute",
                             "knn.positions.distance=5"})
                ->knn()
                .positions()
                .distance(),
            5);
  EXPECT_TRUE(
      SetOver(preset, {"position.family=rope", "position.yarn.factor=3"})
          ->position()
          .has_yarn());
}

TEST(WithSettings, WhatTheCallerGaveStaysWhole) {
  const auto set = WithSettings(
      Parsed("window { commit: COMMIT_POLICY_BLOCK block_tokens: 8 }"),
      {"window.commit=token"}, Nobody);
  EXPECT_EQ(set->window().block_tokens(), 8);
}

TEST(WithSettings, WhatThePresetWouldFillInAgainIsRefused) {
  for (const char* setting :
       {"layers=0", "layers=", "head_scales=", "knn=", "sink="}) {
    const absl::Status status =
        SetOver("layers: 3 head_scales: 20 knn { top_k: 8 }", {setting})
            .status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << setting;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("filled in by the preset \"p\""));
  }
  EXPECT_TRUE(WithSettings(Parsed("layers: 3"), {"layers="}, Nobody).ok());
}

TEST(WithSettings, ThePresetsErrorIsTheirs) {
  v1::Profile profile;
  profile.set_preset("p");
  const auto set =
      WithSettings(profile, {"knn.top_k=8"},
                   [](const std::string&) -> absl::StatusOr<v1::ProfilePreset> {
                     return absl::NotFoundError("no p");
                   });
  EXPECT_EQ(set.status(), absl::NotFoundError("no p"));
}

// A family whose parameters are not called as it would lose them.
TEST(HasMeaning, EveryParameterHasAFamily) {
  const auto* parameters =
      v1::PositionEncoding::descriptor()->FindOneofByName("parameters");
  ASSERT_NE(parameters, nullptr);
  for (int i = 0; i < parameters->field_count(); ++i) {
    int families = 0;
    const auto* type = v1::PositionFamily_descriptor();
    for (int j = 0; j < type->value_count(); ++j) {
      v1::PositionEncoding position;
      position.set_family(
          static_cast<v1::PositionFamily>(type->value(j)->number()));
      families += HasMeaning(position, *parameters->field(i));
    }
    EXPECT_EQ(families, 1) << parameters->field(i)->name();
  }
}

TEST(WordOf, IsTheValueWithoutItsType) {
  EXPECT_EQ(WordOf(*v1::PositionPolicy_descriptor()->value(5)), "local_origin");
  EXPECT_EQ(WordOf(*v1::DataType_descriptor()->value(2)), "float16");
  EXPECT_EQ(WordOf(*v1::DataType_descriptor()->value(0)), "unspecified");
}

}  // namespace
}  // namespace mneme::client
