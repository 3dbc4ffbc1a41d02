/**
 * Plain data as octets, for what crosses from one process to another: objects, lists, text, numbers, bigints, booleans, null, undefined and
 * Uint8Arrays. Decoding makes nothing else, whatever the octets are. An object's list of names travels once for each connection; after that a
 * number stands for it. Independent of what carries the octets. This file has what plain_encoder.ts and
 * plain_decoder.ts agree on.
 */

/** Lists and objects within each other at most. */
export const MAX_DEPTH_LEVELS = 64;
/**
 * Values in one frame at most, lists and objects and each of their entries: they take more memory and time than octets. An entry of an object that
 * carries its names counts for RECORD_ENTRY_VALUES: every name may be another one.
 */
export const MAX_VALUES = 4_000_000, RECORD_ENTRY_VALUES = 4;
/** Octets from which on a Uint8Array is kept apart from the rest, so that it is never copied. */
export const MIN_APART_OCTETS = 16_384;
/** Arrays that are kept apart in one frame at most; further ones are not. */
export const MAX_APART_ARRAYS = 1024;
/** Lists of names that a connection remembers, and how large each may be; objects with others carry their names. */
export const MAX_SHAPES = 1024, MAX_SHAPE_NAMES = 48, MAX_SHAPE_NAME_CHARS = 64;
/** Text of up to so many characters is copied in place: a call into the runtime costs more. */
export const MAX_SHORT_CHARS = 63, MAX_LOOP_CHARS = 20;

export const UNDEFINED = 0, NULL = 1, TRUE = 2, FALSE = 3, INT = 4, DOUBLE = 5, BIGINT = 6, UTF8 = 7, UTF16 = 8;
export const OCTETS = 9, APART = 10, LIST = 11, RECORD = 12, NEW_SHAPE = 13, SHAPE = 14, SHORT = 64;

/** What cannot be said as octets was never meant to be sent. */
export class NotPlain extends TypeError {}
/** The octets are not what an encoder makes. */
export class Malformed extends Error {}
