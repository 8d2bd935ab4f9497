// mneme_tensor_plane --mneme PATH [--tokens 2048] ...: keys and values of a
// model with grouped heads and YaRN positions, appended over the loopback and
// attended to; every answer is compared with attention in double precision.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/client.h"
#include "proto/status.h"
#include "tests/client/temporary_dir.h"
#include "tests/e2e/flags.h"
#include "tests/e2e/plane_model.h"
#include "tests/e2e/plane_reference.h"
#include "tests/e2e/server_process.h"

namespace mneme::e2e {
namespace {

using std::chrono::steady_clock;

constexpr char kSession[] = "namespaces/default/sessions/plane";
// Tokens that a client with a local window of its own keeps to itself.
constexpr size_t kLocal = 64;
// Shorter sessions have a shorter window, so that two tiers are merged.
constexpr size_t kWindowMax = 4096;
constexpr size_t kRows = 2;  // Of one read.
constexpr double kErrorMax = 1e-3;

double SecondsSince(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

struct Errors {
  double output = 0;  // ||out - expected|| / ||expected||, of one row and head.
  double lse = 0;

  void Add(const Seen& got, const Seen& expected) {
    double difference = 0, norm = 0;
    for (size_t d = 0; d < expected.out.size(); ++d) {
      difference += std::pow(got.out[d] - expected.out[d], 2);
      norm += expected.out[d] * expected.out[d];
    }
    // A NaN must not get lost in a comparison.
    const double relative = std::sqrt(difference / norm);
    output = relative <= output ? output : relative;
    const double off = std::abs(got.lse - expected.lse);
    lse = off <= lse ? lse : off;
  }
  bool Small() const { return output <= kErrorMax && lse <= kErrorMax; }
};

struct Figures {
  double append_mb_s = 0;
  std::vector<double> attend_ms;  // Of all layers in one call.
  Errors whole, merged, decoded;
  uint64_t rows = 0;
  uint64_t steps = 0;
  double step_ms = 0;  // One append and one attend in the stream.
  uint64_t peak_bytes = 0;
};

// [query_heads][rows][dim] for each layer. Half of the heads look for what one
// token at hand says, so that some rows are sharp and some are flat.
using Queries = std::vector<std::vector<float>>;

Queries MakeQueries(const PlaneModel& model, size_t rows, int64_t newest,
                    std::mt19937_64& random) {
  Queries queries(kLayers);
  std::normal_distribution<float> normal;
  for (size_t layer = 0; layer < kLayers; ++layer) {
    std::vector<float>& all = queries[layer];
    all.resize(kQueryHeads * rows * kDim);
    for (float& x : all) x = normal(random);
    for (size_t head = 0; head < kQueryHeads; head += 2) {
      for (size_t row = 0; row < rows; ++row) {
        const size_t token = std::uniform_int_distribution<int64_t>(
            std::max<int64_t>(0, newest - 8), newest)(random);
        const auto key = model.Keys(layer, head / kGroup, token, 1);
        std::copy(
            key.begin(), key.end(),
            all.begin() + static_cast<int64_t>((head * rows + row) * kDim));
      }
    }
  }
  return queries;
}

v1::AttendRequest AttendRequestOf(const Queries& queries, size_t rows,
                                  int64_t first_position) {
  v1::AttendRequest request;
  request.set_session(kSession);
  for (size_t layer = 0; layer < kLayers; ++layer) {
    v1::LayerRead& read = *request.add_reads();
    read.set_layer(static_cast<uint32_t>(layer));
    v1::Tensor& tensor = *read.mutable_queries();
    tensor.set_data_type(v1::DATA_TYPE_FLOAT32);
    for (const size_t extent : {kQueryHeads, rows, kDim}) {
      tensor.add_shape(static_cast<int64_t>(extent));
    }
    tensor.set_data(queries[layer].data(),
                    queries[layer].size() * sizeof(float));
    for (size_t row = 0; row < rows; ++row) {
      read.add_positions(first_position + static_cast<int64_t>(row));
    }
  }
  return request;
}

Seen SeenOf(const v1::LayerOutput& output, size_t head, size_t row,
            size_t rows) {
  std::vector<float> out(kDim);
  float lse = 0;
  const size_t index = head * rows + row;
  std::memcpy(out.data(),
              output.output().data().data() + index * kDim * sizeof(float),
              kDim * sizeof(float));
  std::memcpy(&lse, output.lse().data().data() + index * sizeof(float),
              sizeof(float));
  return {std::vector<double>(out.begin(), out.end()), lse};
}

std::vector<float> RowOf(const std::vector<float>& queries, size_t row,
                         size_t rows) {
  std::vector<float> one(kQueryHeads * kDim);
  for (size_t head = 0; head < kQueryHeads; ++head) {
    std::copy_n(
        queries.begin() + static_cast<int64_t>((head * rows + row) * kDim),
        kDim, one.begin() + static_cast<int64_t>(head * kDim));
  }
  return one;
}

class Plane {
 public:
  Plane(client::Client& client, const PlaneModel& model, size_t appended,
        std::mt19937_64& random)
      : client_(client),
        model_(model),
        appended_(appended),
        window_(std::min(kWindowMax, appended / 4 + 1)),
        random_(random) {}

  absl::Status Append() {
    v1::CreateSessionRequest create;
    create.set_session(kSession);
    *create.mutable_profile() = PlaneProfile(static_cast<uint32_t>(window_));
    RETURN_IF_ERROR(client_.CreateSession(create).status());
    double seconds = 0;
    uint64_t bytes = 0;
    for (size_t first = 0; first < appended_;) {
      const size_t count = std::min<size_t>(
          appended_ - first,
          std::uniform_int_distribution<size_t>(128, 512)(random_));
      v1::AppendRequest request;
      request.set_session(kSession);
      request.set_expected_seq(first);
      *request.mutable_tokens() = model_.Rows(first, count);
      const auto start = steady_clock::now();
      ASSIGN_OR_RETURN(const auto response, client_.Append(request));
      seconds += SecondsSince(start);
      bytes += request.tokens().keys().data().size() +
               request.tokens().values().data().size();
      first += count;
      if (response.seq_next() != first) {
        return absl::DataLossError(absl::StrCat(
            "the log ends at ", response.seq_next(), ", not at ", first));
      }
    }
    figures_.append_mb_s = static_cast<double>(bytes) / 1e6 / seconds;
    return absl::OkStatus();
  }

  // Rows at the start, within the past, at the window's edge and at the end.
  absl::Status AttendWhole() {
    const auto end = static_cast<int64_t>(appended_);
    const auto window = static_cast<int64_t>(window_);
    for (const int64_t position :
         {int64_t{0}, end / 3, std::max<int64_t>(0, end - window - 1), end - 2,
          end}) {
      const Queries queries =
          MakeQueries(model_, kRows, std::min(position, end - 1), random_);
      ASSIGN_OR_RETURN(const auto response,
                       TimedAttend(queries, kRows, position));
      for (size_t layer = 0; layer < kLayers; ++layer) {
        for (size_t row = 0; row < kRows; ++row) {
          const auto expected =
              Reference(model_, layer, RowOf(queries[layer], row, kRows),
                        position + static_cast<int64_t>(row), 0, appended_);
          for (size_t head = 0; head < kQueryHeads; ++head) {
            figures_.whole.Add(SeenOf(response.outputs(static_cast<int>(layer)),
                                      head, row, kRows),
                               expected[head]);
            ++figures_.rows;
          }
        }
      }
    }
    return absl::OkStatus();
  }

  // The last tokens stay with the client, which attends to them itself.
  absl::Status MergeWithLocal() {
    const size_t all = appended_ + kLocal;
    const auto position = static_cast<int64_t>(all) - 1;
    const Queries queries = MakeQueries(model_, 1, position, random_);
    ASSIGN_OR_RETURN(const auto response, TimedAttend(queries, 1, position));
    for (size_t layer = 0; layer < kLayers; ++layer) {
      const auto local =
          Reference(model_, layer, queries[layer], position, appended_, all);
      const auto expected =
          Reference(model_, layer, queries[layer], position, 0, all);
      for (size_t head = 0; head < kQueryHeads; ++head) {
        const Seen remote =
            SeenOf(response.outputs(static_cast<int>(layer)), head, 0, 1);
        figures_.merged.Add(Merge(remote, local[head]), expected[head]);
      }
    }
    return absl::OkStatus();
  }

  // A decode loop: each step appends a token and attends from it.
  absl::Status Decode(size_t steps, size_t compared) {
    grpc::ClientContext context;
    const auto stream = client_.stub().AttendStream(&context);
    for (size_t step = 0; step < steps; ++step) {
      const size_t token = appended_ + step;
      const auto position = static_cast<int64_t>(token);
      const Queries queries = MakeQueries(model_, 1, position, random_);
      v1::AttendStreamRequest append, attend;
      append.mutable_append()->set_session(kSession);
      append.mutable_append()->set_expected_seq(token);
      append.mutable_append()->set_acknowledge(v1::ACKNOWLEDGE_BUFFERED);
      *append.mutable_append()->mutable_tokens() = model_.Rows(token, 1);
      *attend.mutable_attend() = AttendRequestOf(queries, 1, position);
      const auto start = steady_clock::now();
      v1::AttendStreamResponse appended, attended;
      if (!stream->Write(append) || !stream->Write(attend) ||
          !stream->Read(&appended) || !stream->Read(&attended)) {
        return proto::FromGrpc(stream->Finish());
      }
      figures_.step_ms += 1e3 * SecondsSince(start);
      ++figures_.steps;
      if (appended.append().seq_next() != token + 1 ||
          attended.attend().seq_next() != token + 1) {
        return absl::DataLossError("a step did not see the one before");
      }
      // The first and the last, and some between.
      if (step != steps - 1 && step % (steps / compared) != 0) continue;
      for (size_t layer = 0; layer < kLayers; ++layer) {
        const auto expected =
            Reference(model_, layer, queries[layer], position, 0, token + 1);
        for (size_t head = 0; head < kQueryHeads; ++head) {
          figures_.decoded.Add(
              SeenOf(attended.attend().outputs(static_cast<int>(layer)), head,
                     0, 1),
              expected[head]);
        }
      }
    }
    figures_.step_ms /= static_cast<double>(steps);
    stream->WritesDone();
    return proto::FromGrpc(stream->Finish());
  }

  Figures& figures() { return figures_; }

 private:
  absl::StatusOr<v1::AttendResponse> TimedAttend(const Queries& queries,
                                                 size_t rows,
                                                 int64_t position) {
    const v1::AttendRequest request = AttendRequestOf(queries, rows, position);
    const auto start = steady_clock::now();
    ASSIGN_OR_RETURN(auto response, client_.Attend(request));
    figures_.attend_ms.push_back(1e3 * SecondsSince(start));
    if (response.outputs_size() != static_cast<int>(kLayers)) {
      return absl::InternalError("not every layer was answered");
    }
    for (const v1::LayerOutput& output : response.outputs()) {
      const size_t floats = kQueryHeads * rows * sizeof(float);
      if (output.output().data().size() != floats * kDim ||
          output.lse().data().size() != floats) {
        return absl::InternalError("an answer of another shape");
      }
    }
    return response;
  }

  client::Client& client_;
  const PlaneModel& model_;
  const size_t appended_;
  const size_t window_;
  std::mt19937_64& random_;
  Figures figures_;
};

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(const Flags flags, Flags::Parse(argc, argv,
                                                   {{"mneme", "mneme"},
                                                    {"tokens", "2048"},
                                                    {"steps", "200"},
                                                    {"seed", "20240731"}}));
  ASSIGN_OR_RETURN(const uint64_t tokens, flags.Number("tokens"));
  ASSIGN_OR_RETURN(const uint64_t steps, flags.Number("steps"));
  ASSIGN_OR_RETURN(const uint64_t seed, flags.Number("seed"));
  constexpr uint64_t kCompared = 4;
  if (tokens < 3 || steps < kCompared) {
    return absl::InvalidArgumentError("expected at least 3 tokens and 4 steps");
  }
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  const PlaneModel model(tokens + std::max<uint64_t>(kLocal, steps), random);
  const testing::TemporaryDir scratch;
  ServerProcess server(flags.Text("mneme"), scratch.Path(""));
  RETURN_IF_ERROR(server.Start());
  client::Client client(client::Connect(server.address()));
  Plane plane(client, model, tokens, random);
  RETURN_IF_ERROR(plane.Append());
  RETURN_IF_ERROR(plane.AttendWhole());
  RETURN_IF_ERROR(plane.MergeWithLocal());
  RETURN_IF_ERROR(plane.Decode(steps, kCompared));
  Figures& figures = plane.figures();
  figures.peak_bytes = server.PeakResidentBytes();
  const auto& ms = figures.attend_ms;
  const nlohmann::ordered_json line = {
      {"name", "tensor_plane"},
      {"seed", seed},
      {"tokens", tokens},
      {"append_mb_per_second", figures.append_mb_s},
      {"attend_ms_max", *std::max_element(ms.begin(), ms.end())},
      {"compared_rows", figures.rows},
      {"output_error", figures.whole.output},
      {"lse_error", figures.whole.lse},
      {"merged_output_error", figures.merged.output},
      {"merged_lse_error", figures.merged.lse},
      {"decode_steps", figures.steps},
      {"decode_step_ms", figures.step_ms},
      {"decoded_output_error", figures.decoded.output},
      {"decoded_lse_error", figures.decoded.lse},
      {"peak_resident_bytes", figures.peak_bytes}};
  std::printf("%s\n", line.dump().c_str());
  if (!figures.whole.Small() || !figures.merged.Small() ||
      !figures.decoded.Small()) {
    return absl::InternalError(absl::StrCat("an error is above ", kErrorMax));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace mneme::e2e

int main(int argc, char** argv) {
  const absl::Status status = mneme::e2e::Run(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "mneme_tensor_plane: FAILED: %s\n",
               std::string(status.message()).c_str());
  return 1;
}
