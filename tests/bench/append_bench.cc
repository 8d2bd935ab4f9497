// Appends to a session against a plain RocksDB that is given the same bytes
// under the same promise about the disk.

#include <rocksdb/db.h>
#include <rocksdb/options.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention/dtype.h"
#include "base/clock.h"
#include "memory/memory.h"
#include "memory/presets.h"
#include "memory/rocks_store.h"
#include "tests/bench/contest.h"
#include "tests/bench/data.h"
#include "tests/bench/scratch_dir.h"

namespace mneme::bench {
namespace {

// RocksDB as it comes, one record after the other.
class PlainRocks {
 public:
  explicit PlainRocks(const std::string& directory) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    Check(rocksdb::DB::Open(options, directory, &db));
    db_.reset(db);
  }

  void Put(const std::string& value, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    Check(db_->Put(options, absl::StrCat("record", ++records_), value));
  }

 private:
  static void Check(const rocksdb::Status& status) {
    if (!status.ok()) Fail(status.ToString());
  }

  std::unique_ptr<rocksdb::DB> db_;
  uint64_t records_ = 0;
};

class Bench {
 public:
  Bench(int argc, const char* const* argv)
      : arena_("append", argc, argv),
        random_(Seed()),
        plain_(directory_.Child("plain")) {
    memory_ = Get(memory::Memory::Open(
        Get(memory::OpenRocksStore(directory_.Child("mneme"))), &clock_));
  }

  void Run() {
    Tokens("one_token_synced", 1, /*sync=*/true);
    Tokens("one_token_buffered", 1, /*sync=*/false);
    Tokens("128_tokens_synced", 128, /*sync=*/true);
    Tokens("128_tokens_buffered", 128, /*sync=*/false);
    Text("text_8k_buffered", /*sync=*/false);
    Text("text_8k_synced", /*sync=*/true);
  }

 private:
  // Of one layer of a model with 8 kv heads of 128: 4 KiB a token.
  static memory::Profile TensorProfile() {
    memory::Profile profile;
    profile.query_heads = 8;
    profile.kv_heads = 8;
    profile.key_dim = 128;
    profile.value_dim = 128;
    profile.dtype = attention::DType::kF16;
    profile.knn = memory::KnnTier{.top_k = 32};
    return profile;
  }

  void Tokens(const std::string& name, uint64_t count, bool sync) {
    if (!arena_.Wants(name)) return;
    const auto session = Get(
        memory_->Create({.space = "bench", .session = name}, TensorProfile()));
    const memory::Profile& profile = session->header().profile;
    const size_t numbers = profile.bank_count() * count * profile.key_dim;
    const std::string keys = Narrow(profile.dtype, Normals(numbers, random_));
    const std::string values = Narrow(profile.dtype, Normals(numbers, random_));
    const std::string both = keys + values;
    memory::AppendOptions options;
    options.sync = sync;
    arena_.Compare(
        {.name = name,
         .unit = "tokens/s",
         .work = static_cast<double>(count),
         .against = "RocksDB Put of the same bytes"},
        [&] {
          Get(session->AppendTokens(
              {.count = count, .keys = keys, .values = values, .positions = {}},
              options));
        },
        [&] { plain_.Put(both, sync); });
  }

  // The baseline writes the text alone: nothing is cut, indexed or encoded.
  void Text(const std::string& name, bool sync) {
    if (!arena_.Wants(name)) return;
    constexpr size_t kEntryBytes = 8 << 10;
    const auto session =
        Get(memory_->Create({.space = "bench", .session = name},
                            Get(memory::ProfileByName("text"))));
    const std::string prose =
        Prose(arena_.smoke() ? 4 * kEntryBytes : 256 * kEntryBytes, random_);
    memory::AppendOptions options;
    options.sync = sync;
    size_t entries = 0;
    const auto next = [&] {
      const size_t count = prose.size() / kEntryBytes;
      return std::string_view(prose).substr(entries++ % count * kEntryBytes,
                                            kEntryBytes);
    };
    arena_.Compare(
        {.name = name,
         .unit = "MB/s",
         .work = 1e-6 * kEntryBytes,
         .against = "RocksDB Put of the text"},
        [&] {
          memory::TextEntry entry;
          entry.text = next();
          entry.source = "book";
          Get(session->AppendText(entry, options));
        },
        [&] { plain_.Put(std::string(next()), sync); });
  }

  const Arena arena_;
  std::mt19937_64 random_;
  const ScratchDir directory_;
  base::RealClock clock_;
  PlainRocks plain_;
  std::unique_ptr<memory::Memory> memory_;
};

}  // namespace
}  // namespace mneme::bench

int main(int argc, char** argv) { mneme::bench::Bench(argc, argv).Run(); }
