/** The kind byte that every key of the encoding "ordered", and every part of an array, begins with. They sort as the kinds do. */

export const KIND_FALSE = 0x10;
export const KIND_TRUE = 0x11;
export const KIND_NUMBER = 0x20;
export const KIND_BIGINT = 0x30;
export const KIND_DATE = 0x40;
export const KIND_STRING = 0x50;
export const KIND_BYTES = 0x60;
export const KIND_ARRAY = 0x70;

/** Ends an array within an array. Less than every kind, so that of two arrays the one that ends first is the lesser. */
export const ARRAY_END = 0x00;

/** Arrays within arrays, the outermost counted. */
export const KEY_DEPTH_MAX = 32;

/** Milliseconds from 1970 that a Date can hold, in either direction. */
export const DATE_MAX = 8.64e15;
