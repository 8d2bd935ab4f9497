// A data directory whose records say anything under the right checksums: it is
// opened or refused, read or refused, and never ends the process.
// Input: one byte that chooses the session, then changes, each a record's
// number, what to do with it, and with what.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "memory/memory.h"
#include "memory/presets.h"
#include "memory/record.h"
#include "tests/testing/map_store.h"

namespace mneme::memory {
namespace {

using Records = std::map<std::string, std::string>;

constexpr size_t kRecordHead = 16;  // What a record has before its payload.
const SessionName kName = {.space = "n", .session = "s"};

bool Never() { return false; }

const base::Clock& Clock() {
  static const base::RealClock& clock = *new base::RealClock();
  return clock;
}

std::unique_ptr<Memory> OpenOver(std::shared_ptr<testing::MapDisk> disk) {
  auto memory = Memory::Open(
      std::make_unique<testing::MapStore>(std::move(disk)), &Clock());
  return memory.ok() ? *std::move(memory) : nullptr;
}

Records RecordsOf(testing::MapDisk& disk) {
  base::MutexLock lock(&disk.mutex);
  return disk.records;
}

Records TextRecords() {
  const auto disk = std::make_shared<testing::MapDisk>();
  const auto memory = OpenOver(disk);
  const auto session =
      memory->Create(kName, ProfileByName("text").value()).value();
  for (const std::string_view text :
       {"The lamp is in the cellar. Nobody reads there.",
        "Ada keeps the key.\n\nIt is blue.", "Rain again."}) {
    TextEntry entry;
    entry.text = text;
    entry.role = "user";
    entry.time_us = 1;
    entry.metadata = {{"room", "kitchen"}};
    AppendOptions options;
    options.request_id = absl::StrCat("r", text.size());
    CHECK(session->AppendText(entry, options).ok());
  }
  CHECK(session->Forget(memory::EntryNumber{2}).ok());
  return RecordsOf(*disk);
}

// A full block, a tail, a segment of compressive memory and a window.
Records TensorRecords() {
  constexpr uint64_t kCount = 131;
  Profile profile;
  profile.key_dim = 2;
  profile.value_dim = 1;
  profile.dtype = attention::DType::kF16;
  profile.window = WindowTier{.tokens = 5};
  profile.knn = KnnTier{.top_k = 2};
  profile.position.family = attention::PositionFamily::kRope;
  profile.compressive =
      CompressiveTier{.segment_tokens = 32, .gate_logits = {0.0F}};
  const auto disk = std::make_shared<testing::MapDisk>();
  const auto memory = OpenOver(disk);
  const auto session = memory->Create(kName, profile).value();
  // Every number is 0x3C3C as binary16, a little above 1.
  const std::string keys(kCount * 4, '\x3C');
  const std::string values(kCount * 2, '\x3C');
  CHECK(session
            ->AppendTokens({.count = kCount,
                            .keys = keys,
                            .values = values,
                            .positions = {}},
                           {})
            .ok());
  return RecordsOf(*disk);
}

// Seals `payload` as the record of `key`, whatever it was before.
void Put(const std::string& key, const std::string& payload, Records& records) {
  std::string& record = records[key];
  // The kind stands behind the magic and the version.
  const auto kind = static_cast<RecordKind>(record[2]);
  record = SealRecord(kind, key, payload);
}

// False at the end of the input.
bool Change(base::ByteReader& in, Records& records) {
  const auto number = in.Number<uint8_t>();
  const auto what = in.Number<uint8_t>();
  const auto where = in.Number<uint16_t>();
  if (!in.ok() || records.empty()) return false;
  auto it = records.begin();
  std::advance(it, number % records.size());
  const auto& [key, record] = *it;
  std::string payload = record.substr(kRecordHead);
  switch (what % 5) {
    case 0:  // A few bytes are others.
      payload.replace(std::min<size_t>(where, payload.size()), 4,
                      in.Raw(std::min<size_t>(in.left(), 4)));
      break;
    case 1:  // It ends too early.
      payload.resize(std::min<size_t>(where, payload.size()));
      break;
    case 2:  // All of it is something else.
      payload = in.Raw(std::min<size_t>(in.left(), where));
      break;
    case 3:
      records.erase(it);
      return true;
    default:  // A broken checksum.
      it->second[where % record.size()] ^= 1;
      return true;
  }
  Put(key, payload, records);
  return true;
}

void ReadText(Session& session) {
  RecallQuery recall;
  recall.query = "where is the blue key";
  session.Recall(recall, Never).status().IgnoreError();
  ContextQuery context;
  context.query = "lamp";
  context.budget_tokens = 100;
  context.recent_entries = 2;
  session.AssembleContext(context, Never).status().IgnoreError();
  TextEntry entry;
  entry.text = "One more.";
  session.AppendText(entry, {}).status().IgnoreError();
  session.Forget(memory::EntryNumber{1}).status().IgnoreError();
}

void ReadTensors(Session& session) {
  const Profile& profile = session.header().profile;
  // What a read may cost is not what is looked for here.
  const size_t queries = size_t{profile.query_heads} * profile.key_dim;
  if (queries > 4096) return;
  AttendQuery attend;
  attend.reads.push_back(
      {.layer = 0, .rows = 1, .queries = std::vector<float>(queries, 0.5F)});
  attend.top_items = 2;
  session.Attend(attend, Never).status().IgnoreError();
  const std::string keys(profile.bank_count() * profile.key_bytes(), '\0');
  const std::string values(profile.bank_count() * profile.value_bytes(), '\0');
  session
      .AppendTokens(
          {.count = 1, .keys = keys, .values = values, .positions = {}}, {})
      .status()
      .IgnoreError();
  session.CompressiveState(0).status().IgnoreError();
}

}  // namespace
}  // namespace mneme::memory

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mneme;
  using namespace mneme::memory;
  static const Records& text = *new Records(TextRecords());
  static const Records& tensors = *new Records(TensorRecords());
  base::SetLogLevel(base::LogLevel::kOff);
  base::ByteReader in({reinterpret_cast<const char*>(data), size});
  Records records = in.Number<uint8_t>() % 2 == 0 ? text : tensors;
  while (Change(in, records)) {
  }
  const auto disk = std::make_shared<mneme::testing::MapDisk>();
  {
    base::MutexLock lock(&disk->mutex);
    disk->records = std::move(records);
  }
  const std::unique_ptr<Memory> memory = OpenOver(disk);
  if (!memory) return 0;
  const auto session = memory->Find(kName);
  if (!session.ok()) return 0;
  (*session)->Counts();
  (*session)->Verify(Never).status().IgnoreError();
  if ((*session)->header().profile.text_encoder.empty()) {
    ReadTensors(**session);
  } else {
    ReadText(**session);
  }
  return 0;
}
