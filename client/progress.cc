#include "client/progress.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/utf8.h"
#include "client/units.h"

namespace mneme::client {
namespace {

// A person reads no faster, and terminals are slow.
constexpr std::chrono::milliseconds kRedraw{100};
constexpr int kBarCells = 24;
constexpr size_t kLabelBytesMax = 24;

// The end of a long label: a bar that wraps cannot be rewritten.
std::string Fitting(const std::string& label) {
  if (label.size() <= kLabelBytesMax) return label;
  size_t begin = label.size() - kLabelBytesMax;
  while (!base::IsCodePointBoundary(label, begin)) ++begin;
  return "…" + label.substr(begin);
}

double Seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace

Progress::Progress(std::string label, uint64_t bytes_total, bool terminal,
                   std::ostream& err, const base::Clock& clock)
    : label_(std::move(label)),
      bytes_total_(bytes_total),
      terminal_(terminal),
      err_(err),
      clock_(clock),
      start_(clock.Ticks()),
      drawn_(start_ - kRedraw) {}

Progress::~Progress() { Clear(); }

void Progress::Update(uint64_t bytes_done) {
  bytes_done_ = std::min(bytes_done, bytes_total_);
  const auto now = clock_.Ticks();
  if (!terminal_ || bytes_total_ == 0 || now - drawn_ < kRedraw) return;
  drawn_ = now;
  visible_ = true;
  const double part = static_cast<double>(bytes_done_) / bytes_total_;
  const int cells = static_cast<int>(part * kBarCells);
  const std::string bar =
      std::string(cells, '#') + std::string(kBarCells - cells, '.');
  err_ << absl::StrFormat("\r\033[K%s [%s] %3.0f%%", Fitting(label_), bar,
                          std::floor(100 * part));
  const double seconds = Seconds(now - start_);
  if (seconds > 0 && bytes_done_ > 0) {
    const double rate = bytes_done_ / seconds;
    err_ << absl::StrFormat("  %s/s  %s left", HumanBytes(rate),
                            HumanSeconds((bytes_total_ - bytes_done_) / rate));
  }
  err_ << std::flush;
}

void Progress::Finish() {
  Clear();
  const double seconds = Seconds(clock_.Ticks() - start_);
  err_ << absl::StrFormat("%s: %s in %s", label_, HumanBytes(bytes_done_),
                          HumanSeconds(seconds));
  if (seconds > 0) {
    err_ << absl::StrFormat(" (%s/s)", HumanBytes(bytes_done_ / seconds));
  }
  err_ << std::endl;
}

void Progress::Clear() {
  if (!visible_) return;
  err_ << "\r\033[K" << std::flush;
  visible_ = false;
}

}  // namespace mneme::client
