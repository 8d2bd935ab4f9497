// base/stable_list.h: a list whose elements never move.
// One writer appends; readers that learned a size under the writer's lock may
// read every element below that size without a lock, while the list grows.
// Chunk c holds 2^c * kFirst elements, so 32 pointers reach any size.

#ifndef MNEME_BASE_STABLE_LIST_H_
#define MNEME_BASE_STABLE_LIST_H_

#include <array>
#include <bit>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/check.h"

namespace mneme::base {

template <typename T>
class StableList {
 public:
  // Threads: one writer; `size` is read under the writer's lock.
  void push_back(T value) {
    const Place place = PlaceOf(size_);
    CHECK(place.chunk < kChunks);
    if (!chunks_[place.chunk]) {
      chunks_[place.chunk] = std::make_unique<T[]>(kFirst << place.chunk);
    }
    chunks_[place.chunk][place.offset] = std::move(value);
    ++size_;
  }
  size_t size() const { return size_; }

  // REQUIRES: `index` is below a size that was read under the writer's lock.
  const T& operator[](size_t index) const {
    const Place place = PlaceOf(index);
    return chunks_[place.chunk][place.offset];
  }
  T& operator[](size_t index) {
    const Place place = PlaceOf(index);
    return chunks_[place.chunk][place.offset];
  }

 private:
  static constexpr size_t kFirst = 64;
  static constexpr size_t kChunks = 32;

  struct Place {
    size_t chunk;
    size_t offset;
  };
  static Place PlaceOf(size_t index) {
    const size_t shifted = index / kFirst + 1;
    const size_t chunk = std::bit_width(shifted) - 1;
    return {chunk, index - kFirst * ((size_t{1} << chunk) - 1)};
  }

  std::array<std::unique_ptr<T[]>, kChunks> chunks_;
  size_t size_ = 0;
};

}  // namespace mneme::base

#endif  // MNEME_BASE_STABLE_LIST_H_
