/** By which the one executable knows that it is to be the reader. */
export const READER_ARGUMENT = '--reader';
