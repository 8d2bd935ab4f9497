// Attention over a session's whole log against a BLAS over plain arrays, and
// the search of the k best keys with an index against a scan.

#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention/dtype.h"
#include "base/clock.h"
#include "memory/profile.h"
#include "memory/session.h"
#include "tests/bench/contest.h"
#include "tests/bench/data.h"
#include "tests/bench/exact.h"
#include "tests/testing/map_store.h"

namespace mneme::bench {
namespace {

constexpr size_t kQueryHeads = 4;
constexpr size_t kDim = 128;
constexpr size_t kAppendTokens = 4096;

bool Never() { return false; }

memory::Profile ProfileOf(uint32_t top_k, bool rotated) {
  memory::Profile profile;
  profile.query_heads = kQueryHeads;
  profile.kv_heads = 1;
  profile.key_dim = kDim;
  profile.value_dim = kDim;
  profile.dtype = attention::DType::kF16;
  profile.knn = memory::KnnTier{
      .top_k = top_k,
      .positions = {.policy = memory::PositionPolicy::kAbsolute}};
  if (rotated) profile.position.family = attention::PositionFamily::kRope;
  return profile;
}

// Keys and values as a session stores them and as a BLAS reads them.
struct Rows {
  std::string keys, values;                 // float16.
  std::vector<float> key_rows, value_rows;  // The same numbers.
};

Rows MakeRows(std::vector<float> keys, std::vector<float> values) {
  constexpr auto kHalf = attention::DType::kF16;
  Rows rows;
  rows.keys = Narrow(kHalf, keys);
  rows.values = Narrow(kHalf, values);
  rows.key_rows = std::move(keys);
  rows.value_rows = std::move(values);
  const auto widen = [](const std::string& bytes, std::vector<float>& out) {
    attention::ToFloat(kHalf, reinterpret_cast<const std::byte*>(bytes.data()),
                       out.size(), out.data());
  };
  widen(rows.keys, rows.key_rows);
  widen(rows.values, rows.value_rows);
  return rows;
}

void Append(const Rows& rows, memory::Session& session) {
  const size_t step = kAppendTokens * kDim * 2;
  for (size_t begin = 0; begin < rows.keys.size(); begin += step) {
    const std::string_view keys =
        std::string_view(rows.keys).substr(begin, step);
    const std::string_view values =
        std::string_view(rows.values).substr(begin, step);
    Get(session.AppendTokens({.count = keys.size() / (kDim * 2),
                              .keys = keys,
                              .values = values,
                              .positions = {}},
                             {}));
  }
}

class Bench {
 public:
  Bench(int argc, const char* const* argv)
      : arena_("attend", argc, argv), random_(Seed()) {}

  void Run() {
    const std::vector<size_t> sizes =
        arena_.smoke() ? std::vector<size_t>{1 << 10}
                       : std::vector<size_t>{16 << 10, 64 << 10};
    for (const size_t tokens : sizes) {
      const Rows rows = MakeRows(Normals(tokens * kDim, random_),
                                 Normals(tokens * kDim, random_));
      ReadAll(rows, tokens, /*rotated=*/false);
      ReadAll(rows, tokens, /*rotated=*/true);
    }
    const size_t tokens = arena_.smoke() ? 8 << 10 : 64 << 10;
    TopK(tokens, "independent", Normals(tokens * kDim, random_));
    TopK(tokens, "clustered", ClusteredKeys(tokens, kDim, 64, random_));
  }

 private:
  // Without a memory around it, whose thread would seal what shall be scanned.
  std::shared_ptr<memory::Session> Create(const memory::Profile& profile) {
    ++sessions_;
    return Get(memory::Session::Open(
        &store_, &clock_, &shared_,
        {.header = {.name = {.space = "bench",
                             .session = absl::StrCat("s", sessions_)},
                    .profile = Get(memory::Complete(profile))},
         .branch = {.uid = sessions_, .trunks = {}}}));
  }

  memory::AttendQuery OneRow() {
    memory::AttendQuery query;
    query.reads.push_back({.layer = 0,
                           .rows = 1,
                           .queries = Normals(kQueryHeads * kDim, random_)});
    return query;
  }

  // The baseline holds keys that are rotated already, as a model's own cache
  // does; ours are stored before rotation.
  void ReadAll(const Rows& rows, size_t tokens, bool rotated) {
    const std::string name =
        absl::StrCat("read_all_", tokens >> 10, "k", rotated ? "_rope" : "");
    if (!arena_.Wants(name)) return;
    const auto session = Create(ProfileOf(/*top_k=*/0, rotated));
    Append(rows, *session);
    const memory::AttendQuery query = OneRow();
    const float scale = 1 / std::sqrt(static_cast<float>(kDim));
    std::vector<float> logits;
    std::vector<float> theirs(kQueryHeads * kDim);
    std::vector<float> ours;
    const auto run = [&] {
      ours = Get(session->Attend(query, Never)).outputs[0].output;
    };
    const auto blas = [&] {
      BlasAttend(query.reads[0].queries.data(), kQueryHeads,
                 rows.key_rows.data(), rows.value_rows.data(), tokens, kDim,
                 scale, logits, theirs.data());
    };
    run();
    blas();
    if (!rotated) {
      // A logit is off by dim * epsilon * |q| |k| * scale <= 2e-3 at most, on
      // either side, and shifts a weighted mean of values below 8 by as much.
      ExpectNear(name, ours.data(), theirs.data(), theirs.size(), 8 * 4e-3);
    }
    // Every key and every value is read once.
    arena_.Compare({.name = name,
                    .unit = "Mtokens/s",
                    .work = 1e-6 * static_cast<double>(tokens),
                    .against = rotated ? "OpenBLAS fp32, rotated before"
                                       : "OpenBLAS fp32"},
                   run, blas);
  }

  void TopK(size_t tokens, const std::string& kind, std::vector<float> keys) {
    const std::string name =
        absl::StrCat("top_32_of_", tokens >> 10, "k_", kind);
    if (!arena_.Wants(name)) return;
    const memory::AttendQuery query = [&] {
      memory::AttendQuery near = OneRow();
      // Queries that look for something: near a key, as retrieval heads do.
      for (size_t i = 0; i < near.reads[0].queries.size(); ++i) {
        near.reads[0].queries[i] = 0.3F * near.reads[0].queries[i] +
                                   keys[i % kDim + tokens / 3 * kDim];
      }
      return near;
    }();
    const Rows rows =
        MakeRows(std::move(keys), Normals(tokens * kDim, random_));
    const memory::Profile profile = ProfileOf(/*top_k=*/32, /*rotated=*/false);
    const auto sealed = Create(profile);
    const auto hot = Create(profile);
    Append(rows, *sealed);
    Append(rows, *hot);
    while (Get(sealed->SealOne())) {
    }
    std::vector<float> with_index;
    std::vector<float> with_scan;
    const auto index = [&] {
      with_index = Get(sealed->Attend(query, Never)).outputs[0].output;
    };
    const auto scan = [&] {
      with_scan = Get(hot->Attend(query, Never)).outputs[0].output;
    };
    index();
    scan();
    // Which runs are sealed never changes the answer.
    ExpectNear(name, with_index.data(), with_scan.data(), with_scan.size(), 0);
    arena_.Compare({.name = name,
                    .unit = "us",
                    .work = 1e6,
                    .kind = Contest::Kind::kLatency,
                    .against = "the same, scanned"},
                   index, scan);
  }

  const Arena arena_;
  std::mt19937_64 random_;
  base::RealClock clock_;
  testing::MapStore store_;
  memory::SharedParts shared_;
  uint64_t sessions_ = 0;
};

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) {
  mneme::bench::UseOneBlasThread();
  mneme::bench::Bench(argc, argv).Run();
}
