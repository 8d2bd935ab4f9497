#include "base/stable_list.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace mneme::base {
namespace {

TEST(StableList, HoldsEveryElementWhereItWasPut) {
  StableList<int> list;
  std::vector<const int*> places;
  constexpr int kCount = 10'000;  // Several chunks.
  for (int i = 0; i < kCount; ++i) {
    list.push_back(i);
    places.push_back(&list[i]);
  }
  ASSERT_EQ(list.size(), static_cast<size_t>(kCount));
  for (int i = 0; i < kCount; ++i) {
    EXPECT_EQ(list[i], i);
    EXPECT_EQ(&list[i], places[i]) << "element " << i << " moved";
  }
}

TEST(StableList, ReadersBelowAPublishedSizeNeedNoLock) {
  StableList<int> list;
  std::atomic<int> published{0};
  constexpr int kCount = 20'000;
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    for (int size = 0; size < kCount;) {
      size = published.load(std::memory_order_acquire);
      for (int i = size > 100 ? size - 100 : 0; i < size; ++i) {
        if (list[i] != i) ++wrong;
      }
    }
  });
  for (int i = 0; i < kCount; ++i) {
    list.push_back(i);
    published.store(i + 1, std::memory_order_release);
  }
  reader.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace mneme::base
