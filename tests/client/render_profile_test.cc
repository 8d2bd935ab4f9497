#include "client/render_profile.h"

#include <google/protobuf/text_format.h>

#include <cstdlib>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "client/profile_setting.h"
#include "gmock/gmock.h"

namespace mneme::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

v1::Profile Parsed(const std::string& text) {
  v1::Profile profile;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &profile));
  return profile;
}

std::string Rendered(const v1::Profile& profile,
                     const std::string& indent = "") {
  std::ostringstream out;
  RenderProfile(profile, indent, out);
  return out.str();
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// As a server completes a preset with every tier.
v1::Profile Full() {
  return Parsed(R"(
    name: "all" layers: 12 query_heads: 8 kv_heads: 8 key_dim: 128
    value_dim: 128 data_type: DATA_TYPE_FLOAT16
    logit_scale: 0.08838834764831845 normalization: NORMALIZATION_NONE
    position {
      family: POSITION_FAMILY_ROPE layout: ROTARY_LAYOUT_HALF_SPLIT
      theta: 1e6 rotary_dim: 128
    }
    sink {
      tokens: 128 positions { policy: POSITION_POLICY_CONST distance: 4096 }
    }
    window {
      tokens: 1 commit: COMMIT_POLICY_BLOCK block_tokens: 51
      positions { policy: POSITION_POLICY_ABSOLUTE }
    }
    knn {
      top_k: 255 positions { policy: POSITION_POLICY_NONE }
      data_type: DATA_TYPE_BFLOAT16 chunk_tokens: 51
      chunk_score: CHUNK_SCORE_LANDMARK scope: SELECTION_SCOPE_KV_GROUP
      max_tokens: 65536 gate_logits: [-2.2, 0.1]
      empty_memory: EMPTY_MEMORY_BYPASS
    }
    compressive {
      segment_tokens: 64 update: UPDATE_RULE_LINEAR gate_logits: 0
      empty_memory: EMPTY_MEMORY_STRICT
      performer { count: 256 seed: 9 kernel: PERFORMER_KERNEL_RELU }
    })");
}

TEST(RenderProfile, ShowsEverySetting) {
  EXPECT_EQ(Rendered(Full()),
            "layers                        12\n"
            "query_heads                   8\n"
            "kv_heads                      8\n"
            "key_dim                       128\n"
            "value_dim                     128\n"
            "data_type                     float16\n"
            "logit_scale                   0.08838834764831845\n"
            "head_scales                   1\n"
            "logit_softcap                 none\n"
            "normalization                 none\n"
            "position.family               rope\n"
            "position.layout               half_split\n"
            "position.theta                1000000\n"
            "position.rotary_dim           128\n"
            "sink.tokens                   128\n"
            "sink.positions.policy         const\n"
            "sink.positions.distance       4096\n"
            "window.tokens                 1\n"
            "window.commit                 block\n"
            "window.block_tokens           51\n"
            "window.positions.policy       absolute\n"
            "knn.top_k                     255\n"
            "knn.positions.policy          none\n"
            "knn.data_type                 bfloat16\n"
            "knn.chunk_tokens              51\n"
            "knn.chunk_score               landmark\n"
            "knn.scope                     kv_group\n"
            "knn.max_tokens                65536\n"
            "knn.gate_logits               -2.2,0.1\n"
            "knn.empty_memory              bypass\n"
            "compressive.segment_tokens    64\n"
            "compressive.update            linear\n"
            "compressive.gate_logits       0\n"
            "compressive.empty_memory      strict\n"
            "compressive.performer.count   256\n"
            "compressive.performer.seed    9\n"
            "compressive.performer.kernel  relu\n"
            "text_encoder                  none\n");
}

TEST(RenderProfile, IsWhatSetTakes) {
  v1::Profile full = Full();
  full.clear_name();
  std::vector<std::string> settings;
  for (const std::string& line : LinesOf(Rendered(full))) {
    const size_t gap = line.find(' ');
    const std::string value = line.substr(line.find_first_not_of(' ', gap));
    const std::string path = line.substr(0, gap);
    const bool is_absent = path == "text_encoder" || path == "head_scales" ||
                           path == "logit_softcap";
    if (!is_absent) settings.push_back(absl::StrCat(path, "=", value));
  }
  const auto again = WithSettings({}, settings, nullptr);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->ShortDebugString(), full.ShortDebugString());
}

TEST(RenderProfile, SaysWhatAbsenceMeans) {
  const std::string text = Rendered(Parsed(R"(
    knn { chunk_tokens: 1 positions {} } compressive { gate_logits: 0 }
    position { family: POSITION_FAMILY_ALIBI alibi { bias_max: 8 } })"));
  for (const char* row : {"\nsink                          none\n",
                          "\nwindow                        none\n",
                          "\nknn.top_k                     all\n",
                          "\nknn.data_type                 as the profile's\n",
                          "\nknn.max_tokens                no limit\n",
                          "\nknn.gate_logits               none\n",
                          "\nposition.alibi.bias_max       8\n",
                          "\nposition.alibi.clip_distance  no limit\n",
                          "\ncompressive.performer         none: elu + 1\n"}) {
    EXPECT_THAT(text, HasSubstr(row));
  }
}

TEST(RenderProfile, LeavesOutWhatHasNoMeaning) {
  const std::string text = Rendered(Parsed(R"(
    position { family: POSITION_FAMILY_NONE }
    window { commit: COMMIT_POLICY_SEGMENT positions {
      policy: POSITION_POLICY_CLAMP } }
    knn { chunk_tokens: 1 positions { policy: POSITION_POLICY_NONE } })"));
  for (const char* path : {"position.layout", "position.yarn", "window.tokens",
                           "block_tokens", "knn.positions.distance",
                           "chunk_score", "empty_memory", "preset", "name"}) {
    EXPECT_THAT(text, Not(HasSubstr(path)));
  }
  // 0 is a distance, and a length of a window that is only the last append.
  EXPECT_THAT(text, HasSubstr("window.positions.distance  none\n"));
  EXPECT_THAT(Rendered(Parsed("window { commit: COMMIT_POLICY_STEP }")),
              HasSubstr("window.tokens     0\n"));
}

TEST(RenderProfile, CutsLongLists) {
  v1::Profile profile;
  for (int i = 0; i < 384; ++i) profile.add_head_scales(0.5F);
  EXPECT_THAT(Rendered(profile),
              HasSubstr("0.5,0.5,... (384 numbers; -o json has all)\n"));
}

TEST(RenderProfile, NumbersReadBackAsThemselves) {
  v1::Profile profile;
  for (const double number : {1e-30, 1.0 / 3, 1e6, 1.7e308, 5e-324}) {
    profile.set_logit_scale(number);
    const std::string row = LinesOf(Rendered(profile))[6];
    ASSERT_THAT(row, HasSubstr("logit_scale"));
    EXPECT_EQ(std::strtod(row.c_str() + row.rfind(' '), nullptr), number)
        << row;
  }
}

TEST(RenderPresets, IsOneLineEach) {
  v1::ListProfilesResponse response;
  for (const char* name : {"fot", "streaming_llm"}) {
    v1::ProfilePreset& preset = *response.add_presets();
    preset.mutable_profile()->set_name(name);
    preset.set_summary("What it does.");
  }
  std::ostringstream out;
  RenderPresets(response, out);
  EXPECT_EQ(out.str(),
            "PROFILE        WHAT IT DOES\n"
            "fot            What it does.\n"
            "streaming_llm  What it does.\n");
}

TEST(RenderPreset, IsAllOfItInLinesThatFit) {
  v1::ProfilePreset preset;
  *preset.mutable_profile() = Full();
  preset.set_source("Somebody, arXiv 2402.04617");
  std::string summary;
  for (int i = 0; i < 40; ++i) summary += "wörds\033 ";
  preset.set_summary(summary);
  std::ostringstream out;
  RenderPreset(preset, out);
  EXPECT_THAT(out.str(), HasSubstr("name         all\nsummary      wörds"));
  EXPECT_THAT(out.str(), HasSubstr("source       Somebody, arXiv 2402.04617\n"
                                   "differences  none\n\nlayers "));
  EXPECT_THAT(out.str(), HasSubstr(Rendered(Full())));
  EXPECT_THAT(out.str(), Not(HasSubstr("\033")));
  // 9 words of 6 characters, two of which are 2 or 3 bytes long.
  EXPECT_THAT(LinesOf(out.str())[1], SizeIs(13 + 9 * (1 + 6 + 3) - 1));
}

}  // namespace
}  // namespace mneme::client
