FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# With S3: several replicas need one evidence store that all of them reach.
RUN CGO_ENABLED=0 go build -tags s3 -trimpath -o /triagebot ./cmd/triagebot

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates tzdata \
 && rm -rf /var/lib/apt/lists/* && useradd --system --home-dir /data --create-home triagebot
COPY --from=build /triagebot /usr/bin/triagebot
COPY --from=build /src/playbooks /etc/triagebot/playbooks
EXPOSE 9095
USER triagebot
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/usr/bin/triagebot"]
CMD ["serve", "--config.file=/etc/triagebot/config.yaml"]
