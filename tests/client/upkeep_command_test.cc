#include "client/upkeep_command.h"

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_admin.h"

namespace mneme::client {
namespace {

using testing::FakeAdmin;

TEST(UpkeepCommand, CompactSaysWhatItFreed) {
  FakeAdmin admin;
  admin.compact_response.set_bytes_before(3'000'000);
  admin.compact_response.set_bytes_after(1'000'000);
  EXPECT_EQ(admin.Run({"compact"}).out, "3.0 MB before, 1.0 MB after\n");
  EXPECT_EQ(nlohmann::json::parse(
                admin.Run({"compact", "-o", "json"}).out)["bytes_after"],
            "1000000");
}

}  // namespace
}  // namespace mneme::client
