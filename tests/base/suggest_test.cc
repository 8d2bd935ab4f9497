#include "base/suggest.h"

#include "gtest/gtest.h"

namespace mneme::base {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("recall", "recall"), 0);
  EXPECT_EQ(EditDistance("recal", "recall"), 1);
  EXPECT_EQ(EditDistance("recallx", "recall"), 1);
  EXPECT_EQ(EditDistance("rexall", "recall"), 1);
  EXPECT_EQ(EditDistance("reacll", "recall"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(Closest, IsTheNearestThatIsNearEnough) {
  const std::vector<std::string> names = {"append", "recall", "show", "stats"};
  EXPECT_EQ(Closest("appned", names), "append");
  EXPECT_EQ(Closest("stat", names), "stats");
  EXPECT_EQ(Closest("remember", names), "");
  EXPECT_EQ(Closest("", names), "");
  EXPECT_EQ(Closest(std::string(100'000, 'a'), names), "");
}

TEST(DidYouMean, SaysNothingWithoutAnIdea) {
  EXPECT_EQ(DidYouMean("knm", {"knn"}), " (did you mean \"knn\"?)");
  EXPECT_EQ(DidYouMean("other", {"knn"}), "");
}

}  // namespace
}  // namespace mneme::base
