// memory/text/encoder.h: a text becomes one key for each semantic head.

#ifndef MNEME_MEMORY_TEXT_ENCODER_H_
#define MNEME_MEMORY_TEXT_ENCODER_H_

#include <span>
#include <string_view>

namespace mneme::memory {

// Turns texts into keys of unit length, so that a dot product is a cosine.
// Threads:   every method may be called by many at once.
class Encoder {
 public:
  virtual ~Encoder() = default;

  virtual int heads() const = 0;
  virtual int dim() const = 0;

  // Names the function from text to keys, for ever: keys under one name can be
  // compared with each other and with no others.
  virtual std::string_view name() const = 0;

  // Writes each head's key of `text`; a text without words gives zeros.
  // Shapes:    keys is [heads(), dim()].
  virtual void Encode(std::string_view text, std::span<float> keys) const = 0;
};

// Needs no model: head 0 hashes the stems of words, head 1 the character 3- to
// 5-grams of words, which survive typing errors and inflection. A feature adds
// +-1 at four of the dimensions, by its hash (Weinberger et al. 2009, "Feature
// Hashing for Large Scale Multitask Learning", eq. 2; Achlioptas 2003, sec. 1,
// for sparse signs). Sums are integers and the one division is IEEE's, so keys
// are equal on every machine, to the bit.
class HashEncoder final : public Encoder {
 public:
  static constexpr int kHeads = 2;
  static constexpr int kDim = 128;
  static constexpr std::string_view kName = "hash-words-ngrams-128";

  int heads() const override { return kHeads; }
  int dim() const override { return kDim; }
  std::string_view name() const override { return kName; }
  void Encode(std::string_view text, std::span<float> keys) const override;
};

}  // namespace mneme::memory

#endif  // MNEME_MEMORY_TEXT_ENCODER_H_
