// memory/probe.h: samples of forgotten bytes, to prove that they are gone.
// A forgotten record keeps probes instead of content: a probe is a hash of one
// window of kProbeBytes. It cannot be turned back into the bytes, though
// whoever guesses all of them can confirm the guess.

#ifndef MNEME_MEMORY_PROBE_H_
#define MNEME_MEMORY_PROBE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace mneme::memory {

// Long enough that unrelated bytes do not meet by chance, short enough that a
// sentence has one.
inline constexpr size_t kProbeBytes = 32;

// A 32-bit rolling hash of the window, then 32 bits of a strong one. Two
// different windows agree with probability 2^-64: 10^5 probes against 1 TB of
// unrelated bytes meet by chance once in 200 searches. On disk; never changes.
using Probe = uint64_t;

// Up to `count_max` windows spread over `bytes`, ascending and distinct. Those
// with fewer than 8 distinct bytes are passed over, since zeros and rulers are
// found anywhere; so is text shorter than kProbeBytes.
std::vector<Probe> ProbesOf(std::string_view bytes, size_t count_max);

// Probes to search for.
// Threads:  any, once made.
// REQUIRES: fewer than 2^32 probes.
class ProbeSet {
 public:
  explicit ProbeSet(std::vector<Probe> probes);

  // Calls `found` for every window of `bytes` that has one of the probes, in
  // order. A file read in pieces is searched whole when each piece starts with
  // the last kProbeBytes - 1 bytes of the one before.
  void Find(std::string_view bytes,
            const std::function<void(Probe probe, size_t offset)>& found) const;

  size_t size() const { return probes_.size(); }

 private:
  // Whether a probe begins with `rolling`.
  bool Has(uint32_t rolling) const;

  std::vector<Probe> probes_;  // Ascending and distinct.
  // probes_[starts_[i]..starts_[i + 1]) have the leading bits i.
  std::vector<uint32_t> starts_;
  int start_shift_ = 0;
  // One bit for the leading bits of every probe, sparse enough that few windows
  // are looked up and small enough to stay in the cache.
  std::vector<uint64_t> filter_;
  int filter_shift_ = 0;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_PROBE_H_
