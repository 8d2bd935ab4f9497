// service/library_threads.h: keeps libraries from making threads of their own.

#ifndef MNEME_SERVICE_LIBRARY_THREADS_H_
#define MNEME_SERVICE_LIBRARY_THREADS_H_

namespace mneme::service {

// Makes OpenBLAS (whole process) and OpenMP (calling thread) use one thread:
// the executor's threads are the parallelism, and a pool inside each of them
// would only fight over the same processors. Both libraries read their
// environment variables while they are loaded, before main, so setenv comes too
// late and this calls them.
// Threads:  call it first in main, then at the start of each thread that works.
void UseOneLibraryThread();

}  // namespace mneme::service

#endif  // MNEME_SERVICE_LIBRARY_THREADS_H_
