#include "client/request_id.h"

#include <set>

#include "gtest/gtest.h"

namespace mneme::client {
namespace {

TEST(PartRequestId, NeverChanges) {
  // Stored by servers: another value would append every document again.
  EXPECT_EQ(PartRequestId("namespaces/default/sessions/s1", "book.txt", 65536,
                          "It was a dark night."),
            "part-0fdbfd846c8529d4c00eaa2a197912be");
}

TEST(PartRequestId, DependsOnEveryFieldAndItsBorders) {
  std::set<std::string> ids;
  ids.insert(PartRequestId("a", "b", 1, "c"));
  ids.insert(PartRequestId("x", "b", 1, "c"));
  ids.insert(PartRequestId("a", "x", 1, "c"));
  ids.insert(PartRequestId("a", "b", 2, "c"));
  ids.insert(PartRequestId("a", "b", 1, "x"));
  ids.insert(PartRequestId("ab", "", 1, "c"));
  ids.insert(PartRequestId("", "ab", 1, "c"));
  ids.insert(PartRequestId("a", "b1", 0, "c"));
  ids.insert(PartRequestId("a", "b", 0, "1c"));
  EXPECT_EQ(ids.size(), 9);
}

TEST(RandomRequestId, IsNewEachTime) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(RandomRequestId());
  EXPECT_EQ(ids.size(), 1000);
  EXPECT_EQ(ids.begin()->size(), std::string("call-").size() + 32);
}

}  // namespace
}  // namespace mneme::client
