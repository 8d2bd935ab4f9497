#include "client/interrupt.h"

#include "gtest/gtest.h"

namespace mneme::client {
namespace {

TEST(InterruptGuard, NotesTheFirstSignalAndStartsAnew) {
  {
    const InterruptGuard guard;
    EXPECT_FALSE(guard.requested());
    ::raise(SIGINT);
    EXPECT_TRUE(guard.requested());
  }
  const InterruptGuard guard;
  EXPECT_FALSE(guard.requested());
}

TEST(InterruptGuardDeathTest, LetsTheSecondSignalEndTheProcess) {
  EXPECT_EXIT(
      {
        const InterruptGuard guard;
        ::raise(SIGINT);
        ::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "");
}

TEST(LastWordsDeathTest, AreSaidBeforeTheSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        const LastWords words("the server goes on");
        ::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT),
      "mneme: interrupted: the server goes on");
}

TEST(LastWordsDeathTest, AreNotSaidOfACommandThatIsDone) {
  EXPECT_EXIT(
      {
        { const LastWords words("the server goes on"); }
        ::raise(SIGINT);
      },
      ::testing::KilledBySignal(SIGINT), "^$");
}

}  // namespace
}  // namespace mneme::client
