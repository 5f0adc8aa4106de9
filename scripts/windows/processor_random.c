// Wine 8 has no bcryptprimitives.dll, whose one function programs written in Rust get their random numbers from.
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T length) { return RtlGenRandom(bytes, (ULONG)length); }
