// tests/testing/targets.h: kernels are tested in every instruction set that
// this processor has, not only in the one they would choose.

#ifndef MNEME_TESTS_TESTING_TARGETS_H_
#define MNEME_TESTS_TESTING_TARGETS_H_

#include <cstdint>

#include "gtest/gtest.h"
#include "hwy/highway.h"

namespace mneme::testing {

template <typename Body>
void OnEveryTarget(const Body& body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::GetChosenTarget().Update(target);
    body();
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace mneme::testing

#endif  // MNEME_TESTS_TESTING_TARGETS_H_
