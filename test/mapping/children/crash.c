/* A module whose loading stores through an address nobody has mapped. */
__attribute__((constructor)) static void crash(void) { *(volatile int *)16 = 1; }
