#include "memory/entries.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/status_macros.h"
#include "memory/records.h"

namespace mneme::memory {

namespace {

// Whether the entry's passages lie in its text and have its tokens.
bool Fits(const Entry& entry, const EntryTerms& terms) {
  uint64_t tokens = 0;
  uint64_t at = 0;
  for (const EntryTerms::CutPassage& passage : terms.passages) {
    if (passage.bytes.begin < at || passage.bytes.end <= passage.bytes.begin ||
        passage.tokens == 0) {
      return false;
    }
    at = passage.bytes.end;
    tokens += passage.tokens;
  }
  return at <= entry.text.size() && tokens == entry.seq_count;
}

}  // namespace

void PutEntry(uint64_t uid, const Entry& entry, const EntryTerms& terms,
              WriteBatch& batch) {
  PutRecord(RecordKind::kEntry, EntryKey(uid, entry.number), EncodeEntry(entry),
            batch);
  PutRecord(RecordKind::kLexical, LexicalKey(uid, entry.number),
            EncodeEntryTerms(terms), batch);
}

void PutForgotten(uint64_t uid, SeqRange range, WriteBatch& batch) {
  base::ByteWriter payload;
  payload.Number(range.begin);
  payload.Number(range.end);
  PutRecord(RecordKind::kForgotten, ForgottenKey(uid, range.begin),
            payload.Take(), batch);
}

void PutForgotten(uint64_t uid, const Entry& entry, WriteBatch& batch) {
  PutForgotten(uid, {entry.seq_first, entry.seq_first + entry.seq_count},
               batch);
  batch.Delete(EntryKey(uid, entry.number));
  batch.Delete(LexicalKey(uid, entry.number));
}

absl::StatusOr<EntryTerms> ReadTerms(const Store& store, uint64_t uid,
                                     const Entry& entry) {
  const std::string key = LexicalKey(uid, entry.number);
  ASSIGN_OR_RETURN(const std::string record, store.Read(key));
  ASSIGN_OR_RETURN(const std::string_view payload,
                   OpenRecord(RecordKind::kLexical, key, record));
  EntryTerms terms;
  if (!DecodeEntryTerms(payload, terms) || !Fits(entry, terms)) {
    return MalformedRecord(RecordKind::kLexical, key);
  }
  return terms;
}

absl::Status LoadEntries(const Store& store, uint64_t uid, uint64_t seq_next,
                         TextIndex& index) {
  absl::Status sound;
  uint64_t at = 0;  // Entries follow each other in the log.
  RETURN_IF_ERROR(ScanRecords(
      store, uid, RecordKind::kEntry,
      [&](std::string_view key, std::string_view payload) {
        Entry entry;
        if (!DecodeEntry(payload, entry) ||
            key != EntryKey(uid, entry.number) || entry.seq_first < at ||
            entry.seq_first > seq_next ||
            entry.seq_count > seq_next - entry.seq_first) {
          return false;
        }
        at = entry.seq_first + entry.seq_count;
        const absl::StatusOr<EntryTerms> terms = ReadTerms(store, uid, entry);
        sound.Update(terms.status());
        if (terms.ok()) index.Add(std::move(entry), *terms);
        return true;
      }));
  return sound;
}

absl::Status LoadForgotten(const Store& store, uint64_t uid,
                           SeqSet& forgotten) {
  return ScanRecords(store, uid, RecordKind::kForgotten,
                     [&](std::string_view key, std::string_view payload) {
                       base::ByteReader in(payload);
                       const auto begin = in.Number<uint64_t>();
                       const auto end = in.Number<uint64_t>();
                       if (!in.done() || key != ForgottenKey(uid, begin)) {
                         return false;
                       }
                       forgotten.Add({begin, end});
                       return true;
                     });
}

}  // namespace mneme::memory
