/** Keeps TypeScript from inferring a type parameter at this place; it is only checked there. */
export type NoInferable<T> = NoInfer<T>;
/** Flattens an intersection, so that editors show one object. */
export type Simplify<T> = { [K in keyof T]: T[K] } & {};
