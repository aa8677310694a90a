/** Results in the order in which they are ready. None of the promises may reject. */
export async function* asTheyCome<Result>(promises: readonly Promise<Result>[]): AsyncGenerator<Result> {
  const ready: Result[] = [];
  let news = Promise.withResolvers<void>();
  for (const promise of promises) {
    void promise.then((result) => {
      ready.push(result);
      news.resolve();
    });
  }
  for (let open = promises.length; open > 0; ) {
    await news.promise;
    news = Promise.withResolvers();
    const group = ready.splice(0);
    open -= group.length;
    yield* group;
  }
}
