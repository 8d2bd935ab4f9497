#include "service/library_threads.h"

// Weak, since this floor links neither library: whoever does brings them, and
// without them there is nothing to limit.
extern "C" {
__attribute__((weak)) void openblas_set_num_threads(int count);
__attribute__((weak)) void omp_set_num_threads(int count);
}

namespace mneme::service {

void UseOneLibraryThread() {
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(1);
  if (omp_set_num_threads != nullptr) omp_set_num_threads(1);
}

}  // namespace mneme::service
