#include "memory/keys.h"

#include "absl/strings/str_cat.h"
#include "memory/rows.h"

namespace mneme::memory {
namespace {

constexpr char kDataPrefix = 'd';

template <typename T>
void AppendBigEndian(T number, std::string& key) {
  for (int shift = 8 * (sizeof(T) - 1); shift >= 0; shift -= 8) {
    key += static_cast<char>(number >> shift & 0xFF);
  }
}

uint64_t ReadBigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (const char byte : bytes)
    number = number << 8 | static_cast<uint8_t>(byte);
  return number;
}

std::string Prefix(uint64_t uid) {
  std::string key(1, kDataPrefix);
  AppendBigEndian(uid, key);
  return key;
}

std::string Prefix(uint64_t uid, RecordKind kind) {
  return Prefix(uid) + static_cast<char>(kind);
}

std::string Numbered(uint64_t uid, RecordKind kind, uint64_t number) {
  std::string key = Prefix(uid, kind);
  AppendBigEndian(number, key);
  return key;
}

std::string Banked(uint64_t uid, RecordKind kind, uint64_t number,
                   uint32_t bank) {
  std::string key = Numbered(uid, kind, number);
  AppendBigEndian(bank, key);
  return key;
}

std::string InSpace(char kind, std::string_view space, std::string_view id) {
  std::string key = {kind, '/'};
  key.append(space).append("/").append(id);
  return key;
}

}  // namespace

std::string FormatKey() { return "F"; }

std::string UidNextKey() { return "U"; }

std::string HeaderKey(const SessionName& name) {
  return absl::StrCat("S/", name.space, "/", name.session);
}

std::optional<SessionName> NameOfHeaderKey(std::string_view key) {
  const size_t middle = key.find('/', 2);
  if (!key.starts_with("S/") || middle == std::string_view::npos) return {};
  return SessionName{.space = std::string(key.substr(2, middle - 2)),
                     .session = std::string(key.substr(middle + 1))};
}

KeyRange AllHeaders() { return {"S/", "S0"}; }  // '0' follows '/'.

std::string OperationKey(std::string_view space, std::string_view id) {
  return InSpace('O', space, id);
}

KeyRange AllOperations() { return {"O/", "O0"}; }

std::string DeletedKey(std::string_view space, std::string_view id) {
  return InSpace('D', space, id);
}

KeyRange AllDeleted() { return {"D/", "D0"}; }

uint64_t NumberIn(std::string_view key) {
  constexpr size_t kNumberAt = 1 + sizeof(uint64_t) + 1;
  uint64_t number = 0;
  for (size_t i = kNumberAt; i < kNumberAt + sizeof(number); ++i) {
    number = number << 8 | static_cast<uint8_t>(i < key.size() ? key[i] : 0);
  }
  return number;
}

KeyRange Everything() { return {"", "\xFF"}; }

std::string ImportKey(uint64_t uid) {
  std::string key = "I/";
  AppendBigEndian(uid, key);
  return key;
}

std::optional<uint64_t> UidOfImportKey(std::string_view key) {
  if (!key.starts_with("I/") || key.size() != 2 + sizeof(uint64_t)) return {};
  uint64_t uid = 0;
  for (const char byte : key.substr(2)) {
    uid = uid << 8 | static_cast<unsigned char>(byte);
  }
  return uid;
}

KeyRange AllImports() { return {"I/", "I0"}; }

KeyRange AllOf(uint64_t uid) { return {Prefix(uid), Prefix(uid + 1)}; }

KeyRange AllOf(uint64_t uid, RecordKind kind) {
  return {Prefix(uid, kind),
          Prefix(uid) + static_cast<char>(static_cast<char>(kind) + 1)};
}

std::optional<SeqRange> RowsAt(std::string_view key) {
  constexpr size_t kKindAt = 1 + sizeof(uint64_t);
  if (key.size() < kKindAt + 1 + sizeof(uint64_t) || key[0] != kDataPrefix) {
    return std::nullopt;
  }
  const uint64_t number = NumberIn(key);
  switch (static_cast<RecordKind>(key[kKindAt])) {
    case RecordKind::kRows:
    case RecordKind::kPositions:
      return SeqRange{number * kBlockTokens, (number + 1) * kBlockTokens};
    case RecordKind::kTail:  // How many follow, only the record says.
      return SeqRange{number, (number / kBlockTokens + 1) * kBlockTokens};
    default:
      return std::nullopt;
  }
}

std::optional<RecordPlace> PlaceOfKey(std::string_view key) {
  constexpr size_t kKindAt = 1 + sizeof(uint64_t);
  if (key.size() <= kKindAt || key[0] != kDataPrefix) return {};
  RecordPlace place{.uid = ReadBigEndian(key.substr(1, sizeof(uint64_t))),
                    .kind = static_cast<RecordKind>(key[kKindAt])};
  const std::string_view rest = key.substr(kKindAt + 1);
  const bool named = place.kind == RecordKind::kRequest ||
                     place.kind == RecordKind::kCheckpoint;
  if (!named && rest.size() >= sizeof(uint64_t)) {
    place.number = NumberIn(key);
  }
  return place;
}

std::string HeadKey(uint64_t uid) { return Prefix(uid, RecordKind::kHead); }

std::string RowsKey(uint64_t uid, uint64_t block, uint32_t bank) {
  return Banked(uid, RecordKind::kRows, block, bank);
}

std::string PositionsKey(uint64_t uid, uint64_t block) {
  return Numbered(uid, RecordKind::kPositions, block);
}

std::string TailKey(uint64_t uid, uint64_t seq_first) {
  return Numbered(uid, RecordKind::kTail, seq_first);
}

std::string EntryKey(uint64_t uid, uint64_t entry) {
  return Numbered(uid, RecordKind::kEntry, entry);
}

std::string LexicalKey(uint64_t uid, uint64_t entry) {
  return Numbered(uid, RecordKind::kLexical, entry);
}

std::string RequestKey(uint64_t uid, std::string_view request_id) {
  return Prefix(uid, RecordKind::kRequest).append(request_id);
}

std::string ForgottenKey(uint64_t uid, uint64_t seq_first) {
  return Numbered(uid, RecordKind::kForgotten, seq_first);
}

std::string CheckpointKey(uint64_t uid, uint32_t layer) {
  return Numbered(uid, RecordKind::kCheckpoint, layer);
}

std::string SegmentKey(uint64_t uid, uint64_t seq_first, uint32_t bank) {
  return Banked(uid, RecordKind::kSegment, seq_first, bank);
}

}  // namespace mneme::memory
