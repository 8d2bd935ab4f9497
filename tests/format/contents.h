// tests/format/contents.h: what the kept data directories hold, and answer.

#ifndef MNEME_TESTS_FORMAT_CONTENTS_H_
#define MNEME_TESTS_FORMAT_CONTENTS_H_

#include <nlohmann/json.hpp>

#include "memory/memory.h"

namespace mneme::memory {

// Fills an empty directory with records of every kind.
void FillWithEverything(Memory& memory);

// What every session answers: counts, every row, recall, attention, state.
nlohmann::json AnswersOf(Memory& memory);

// Where two answers differ, in words; empty: nowhere. Numbers of attention may
// differ by what kernels of other processors round.
std::string DifferenceOf(const nlohmann::json& got,
                         const nlohmann::json& expected);

}  // namespace mneme::memory

#endif  // MNEME_TESTS_FORMAT_CONTENTS_H_
