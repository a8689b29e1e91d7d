/*
 * Stands before arch/<CPU>/arch.h on the include path of the OS layer of these tests: its system
 * calls go through faults.c. The layer's source is the product's own.
 */
#ifndef TESTS_FAULTS_ARCH_H
#define TESTS_FAULTS_ARCH_H

#include_next "arch.h"

long faults_syscall(long number, long a, long b, long c, long d, long e, long f);

#define arch_syscall faults_syscall

#endif
