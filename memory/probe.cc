#include "memory/probe.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <numeric>
#include <utility>

namespace mneme::memory {
namespace {

constexpr size_t kDistinctBytesMin = 8;

// Bits of the filter for each probe: one window in 256 is looked up. Its
// largest size, 4 MiB, fits the last-level cache; beyond 130 000 probes it
// fills up.
constexpr size_t kFilterBitsPerProbe = 256;
constexpr int kFilterBitsMinLog2 = 12;
constexpr int kFilterBitsMaxLog2 = 25;

// A random word for each byte (splitmix64 of the byte). On disk by way of the
// probes, so it never changes.
constexpr std::array<uint64_t, 256> MakeWords() {
  std::array<uint64_t, 256> words{};
  uint64_t state = 0x6d6e656d65;  // "mneme".
  for (uint64_t& word : words) {
    state += 0x9e3779b97f4a7c15;
    uint64_t mixed = state;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    word = mixed ^ mixed >> 31;
  }
  return words;
}
constexpr std::array<uint64_t, 256> kWords = MakeWords();

constexpr std::array<uint64_t, 256> Rotated(std::array<uint64_t, 256> words,
                                            int bits) {
  for (uint64_t& word : words) word = std::rotl(word, bits);
  return words;
}
// What a byte that leaves the window has become by then.
constexpr std::array<uint64_t, 256> kLeaving = Rotated(kWords, kProbeBytes);

// Cyclic polynomial (Cohen, Recursive hashing functions for n-grams, 1997).
uint64_t Push(uint64_t hash, char in) {
  return std::rotl(hash, 1) ^ kWords[static_cast<uint8_t>(in)];
}

uint64_t Roll(uint64_t hash, char out, char in) {
  // The parentheses keep the chain from one window to the next short.
  return std::rotl(hash, 1) ^ (kWords[static_cast<uint8_t>(in)] ^
                               kLeaving[static_cast<uint8_t>(out)]);
}

uint32_t Upper(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

Probe ProbeAt(const char* window, uint32_t rolling) {
  const uint64_t strong = XXH3_64bits(window, kProbeBytes);
  return uint64_t{rolling} << 32 | (strong & 0xffffffff);
}

Probe ProbeAt(const char* window) {
  uint64_t hash = 0;
  for (size_t i = 0; i < kProbeBytes; ++i) hash = Push(hash, window[i]);
  return ProbeAt(window, Upper(hash));
}

bool IsTelling(const char* window) {
  std::bitset<256> seen;
  for (size_t i = 0; i < kProbeBytes; ++i) {
    seen.set(static_cast<uint8_t>(window[i]));
  }
  return seen.count() >= kDistinctBytesMin;
}

void SortDistinct(std::vector<Probe>& probes) {
  std::sort(probes.begin(), probes.end());
  probes.erase(std::unique(probes.begin(), probes.end()), probes.end());
}

}  // namespace

std::vector<Probe> ProbesOf(std::string_view bytes, size_t count_max) {
  std::vector<Probe> probes;
  if (bytes.size() < kProbeBytes) return probes;
  const size_t windows = bytes.size() - kProbeBytes + 1;
  const size_t parts = std::min(count_max, windows);
  for (size_t part = 0; part < parts; ++part) {
    const size_t end = windows * (part + 1) / parts;
    for (size_t at = windows * part / parts; at < end; ++at) {
      if (!IsTelling(bytes.data() + at)) continue;
      probes.push_back(ProbeAt(bytes.data() + at));
      break;
    }
  }
  SortDistinct(probes);
  return probes;
}

ProbeSet::ProbeSet(std::vector<Probe> probes) : probes_(std::move(probes)) {
  SortDistinct(probes_);
  const auto log2_of = [this](size_t bits_per_probe) {
    return static_cast<int>(
        std::bit_width(std::bit_ceil(probes_.size() * bits_per_probe)) - 1);
  };
  const int start_bits = std::clamp(log2_of(1), 1, 31);
  start_shift_ = 32 - start_bits;
  starts_.resize((size_t{1} << start_bits) + 1);
  const int filter_bits = std::clamp(log2_of(kFilterBitsPerProbe),
                                     kFilterBitsMinLog2, kFilterBitsMaxLog2);
  filter_shift_ = 32 - filter_bits;
  filter_.resize((size_t{1} << filter_bits) / 64);
  for (const Probe probe : probes_) {
    const uint32_t rolling = Upper(probe);
    ++starts_[(rolling >> start_shift_) + 1];
    const uint32_t bit = rolling >> filter_shift_;
    filter_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
}

bool ProbeSet::Has(uint32_t rolling) const {
  const uint32_t bucket = rolling >> start_shift_;
  return std::any_of(
      probes_.begin() + starts_[bucket], probes_.begin() + starts_[bucket + 1],
      [rolling](Probe probe) { return Upper(probe) == rolling; });
}

void ProbeSet::Find(std::string_view bytes,
                    const std::function<void(Probe, size_t)>& found) const {
  if (probes_.empty() || bytes.size() < kProbeBytes) return;
  const uint64_t* const filter = filter_.data();
  const int shift = 32 + filter_shift_;
  const auto look = [&](uint64_t hash, size_t at) {
    const uint64_t bit = hash >> shift;
    if ((filter[bit / 64] >> (bit % 64) & 1) == 0) return;
    if (!Has(Upper(hash))) return;
    const Probe probe = ProbeAt(bytes.data() + at, Upper(hash));
    if (std::binary_search(probes_.begin(), probes_.end(), probe)) {
      found(probe, at);
    }
  };
  uint64_t hash = 0;
  for (size_t i = 0; i < kProbeBytes; ++i) hash = Push(hash, bytes[i]);
  look(hash, 0);
  for (size_t at = 1; at + kProbeBytes <= bytes.size(); ++at) {
    hash = Roll(hash, bytes[at - 1], bytes[at + kProbeBytes - 1]);
    look(hash, at);
  }
}

}  // namespace mneme::memory
